//! The README's module table is the architecture: every module stands in it once, uses what its row says, all of it
//! further down, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Rows of the table under the heading `Modules`: name, and what it may use.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let section = readme.split("\n## Modules\n").nth(1).expect("the README has a section `Modules`");
    let rows = section.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_string).collect::<Vec<_>>();
        (names(cells[1]).remove(0), names(cells[3]).into_iter().collect())
    })
    .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut all: Vec<PathBuf> = files.into_iter().filter(|file| file.extension().is_some_and(|e| e == "rs")).collect();
    all.extend(folders.iter().flat_map(|folder| sources(folder)));
    all.sort();
    all
}

/// For each module of the crate, the modules that its files name after `crate::`.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in sources(&root) {
        let inside = file.strip_prefix(&root).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_string();
        if module == "lib" {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        let code = code.replace("spikemesh::", "crate::").replace("crate::{", "crate::braces_hide_the_module ");
        let used = uses.entry(module.clone()).or_default();
        for after in code.split("crate::").skip(1) {
            let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            assert!(name != "braces_hide_the_module", "{}: write one `use crate::module` a line", inside.display());
            if name != module {
                used.insert(name);
            }
        }
    }
    uses
}

#[test]
fn every_module_stands_in_the_table() {
    let listed: BTreeSet<String> = table().into_iter().map(|(name, _)| name).collect();
    let there: BTreeSet<String> = uses().into_keys().collect();
    assert_eq!(listed, there);
}

#[test]
fn imports_point_down_and_are_those_of_the_table() {
    let (table, uses) = (table(), uses());
    for (row, (module, may_use)) in table.iter().enumerate() {
        let below: BTreeSet<&String> = table[row + 1..].iter().map(|(name, _)| name).collect();
        let up: Vec<&String> = may_use.iter().filter(|name| !below.contains(name)).collect();
        assert!(up.is_empty(), "the row of `{module}` lists {up:?}, which do not stand below it");
        assert_eq!(&uses[module], may_use, "`{module}` uses the left, its row in the README says the right");
    }
}

#[test]
fn only_load_reads_and_only_report_writes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&root) {
        let inside = file.strip_prefix(&root).unwrap().to_str().unwrap().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        let free = ["load/", "report/"].iter().any(|step| inside.starts_with(step)) || inside == "cli/meter.rs";
        assert!(free || !text.contains("std::fs"), "{inside} touches files");
        assert!(inside.starts_with("cli/") || !text.contains("println!"), "{inside} speaks to the terminal");
    }
}
