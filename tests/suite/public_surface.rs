//! The face of the library that keeps its promises: what is public in the modules that `lib.rs` names as such stands in
//! `tests/golden/public_surface.snap`, so that no change of it goes unseen.
#![allow(clippy::wildcard_enum_match_arm, reason = "the enumerations of syntax may grow")]

use quote::ToTokens;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use syn::{Fields, ImplItem, Item, TraitItem, UseTree, Visibility};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn parsed(file: &Path) -> syn::File {
    syn::parse_file(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The modules behind the word "promised" in `lib.rs`.
fn promised() -> Vec<String> {
    let lib = std::fs::read_to_string(source().join("lib.rs")).unwrap();
    let line = lib.lines().find_map(|line| line.strip_prefix("//! Promised: ")).expect("lib.rs names what it promises");
    line.split('`').skip(1).step_by(2).map(str::to_string).collect()
}

/// The root file of a module, and all of its files.
fn files(module: &str) -> (syn::File, Vec<syn::File>) {
    let alone = source().join(format!("{module}.rs"));
    if alone.exists() {
        return (parsed(&alone), vec![parsed(&alone)]);
    }
    let mut folders = vec![source().join(module)];
    let mut all = vec![];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries {
            if entry.is_dir() { folders.push(entry) } else { all.push(parsed(&entry)) }
        }
    }
    (parsed(&source().join(module).join("mod.rs")), all)
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Tokens on one line, as people write them.
fn line(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    let tight = [
        (" :: ", "::"),
        (" < ", "<"),
        (" >", ">"),
        ("& ", "&"),
        (" ,", ","),
        (" :", ":"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
    ];
    tight.iter().for_each(|(wide, narrow)| text = text.replace(wide, narrow));
    text.replace(">(", "> (").replace("->", " -> ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn fields(fields: &Fields) -> Vec<String> {
    let public = fields.iter().filter(|field| is_public(&field.vis));
    public
        .map(|field| format!("{}: {}", field.ident.as_ref().map_or("0".into(), ToString::to_string), line(&field.ty)))
        .collect()
}

/// The name and the lines of an item that can be public.
fn shown(item: &Item) -> Option<(String, Vec<String>)> {
    Some(match item {
        Item::Fn(item) if is_public(&item.vis) => (item.sig.ident.to_string(), vec![line(&item.sig)]),
        Item::Const(item) if is_public(&item.vis) => {
            (item.ident.to_string(), vec![format!("const {}: {}", item.ident, line(&item.ty))])
        }
        Item::Type(item) if is_public(&item.vis) => {
            (item.ident.to_string(), vec![format!("type {} = {}", item.ident, line(&item.ty))])
        }
        Item::Struct(item) if is_public(&item.vis) => {
            let head = format!("struct {}{}", item.ident, line(&item.generics));
            (
                item.ident.to_string(),
                std::iter::once(head).chain(fields(&item.fields).into_iter().map(|f| format!("  {f}"))).collect(),
            )
        }
        Item::Enum(item) if is_public(&item.vis) => {
            let head = format!("enum {}{}", item.ident, line(&item.generics));
            let variants = item.variants.iter().map(|variant| {
                let fields = variant.fields.iter().map(|field| match &field.ident {
                    Some(name) => format!("{name}: {}", line(&field.ty)),
                    None => line(&field.ty),
                });
                format!("  {} {}", variant.ident, fields.collect::<Vec<_>>().join(", ")).trim_end().to_string()
            });
            (item.ident.to_string(), std::iter::once(head).chain(variants).collect())
        }
        Item::Trait(item) if is_public(&item.vis) => {
            let methods = item.items.iter().filter_map(|item| match item {
                TraitItem::Fn(method) => Some(format!("  {}", line(&method.sig))),
                _ => None,
            });
            let head = format!("trait {}{}", item.ident, line(&item.generics));
            (item.ident.to_string(), std::iter::once(head).chain(methods).collect())
        }
        _ => return None,
    })
}

/// The names that a `pub use` brings up.
fn brought(tree: &UseTree, names: &mut Vec<String>) {
    match tree {
        UseTree::Path(path) => brought(&path.tree, names),
        UseTree::Name(name) => names.push(name.ident.to_string()),
        UseTree::Rename(rename) => names.push(rename.ident.to_string()),
        UseTree::Group(group) => group.items.iter().for_each(|tree| brought(tree, names)),
        UseTree::Glob(_) => names.push("*".to_string()),
    }
}

fn surface(module: &str) -> String {
    let (root, all) = files(module);
    let mut defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    all.iter()
        .flat_map(|file| &file.items)
        .filter_map(shown)
        .for_each(|(name, lines)| defined.entry(name).or_default().extend(lines));
    let mut names: Vec<String> = root.items.iter().filter_map(shown).map(|(name, _)| name).collect();
    for item in &root.items {
        if let Item::Use(item) = item
            && is_public(&item.vis)
        {
            brought(&item.tree, &mut names);
        }
    }
    names.sort();
    names.dedup();
    for item in all.iter().flat_map(|file| &file.items) {
        if let Item::Impl(block) = item
            && block.trait_.is_none()
        {
            let of = line(&block.self_ty);
            let of = of.split('<').next().unwrap_or_default().trim().to_string();
            let methods = block.items.iter().filter_map(|item| match item {
                ImplItem::Fn(method) if is_public(&method.vis) => Some(format!("  {}", line(&method.sig))),
                ImplItem::Const(item) if is_public(&item.vis) => {
                    Some(format!("  const {}: {}", item.ident, line(&item.ty)))
                }
                _ => None,
            });
            defined.entry(of).or_default().extend(methods);
        }
    }
    let known = |name: &String| defined.get(name).cloned().unwrap_or_else(|| vec![format!("use {name}")]);
    let lines: Vec<String> = names.iter().flat_map(known).collect();
    format!("## {module}\n{}\n", lines.join("\n"))
}

#[test]
fn the_promised_face_is_the_one_on_record() {
    let promised = promised();
    assert!(promised.iter().any(|module| module == "simulate"));
    let all: Vec<String> = promised.iter().map(|module| surface(module)).collect();
    insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("public_surface", all.join("\n"));
    });
}
