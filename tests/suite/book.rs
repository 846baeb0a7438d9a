//! Every command of the README and of the book runs, in the order of its page, in an empty folder.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The commands of a page; those that need the real network come second.
fn commands(page: &str) -> (Vec<String>, Vec<String>) {
    let (mut plain, mut real) = (vec![], vec![]);
    let mut inside: Option<bool> = None;
    for line in page.lines() {
        match line.trim_end() {
            "```console" => inside = Some(false),
            "```console real" => inside = Some(true),
            "```" => inside = None,
            other => {
                if let (Some(is_real), Some(command)) = (inside, other.strip_prefix("$ ")) {
                    (if is_real { &mut real } else { &mut plain }).push(command.to_string());
                }
            }
        }
    }
    (plain, real)
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

/// Runs the commands of one page with the built binary on the path, and the repository's traces and chips at hand.
fn run(page: &Path, commands: &[String], variables: &[(&str, PathBuf)]) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["traces", "hwmodels", "docs"] {
        std::os::unix::fs::symlink(root().join(name), folder.path().join(name)).unwrap();
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_spikemesh")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
    for command in commands {
        let mut shell = Command::new("sh");
        shell.current_dir(folder.path()).env("PATH", &path).args(["-c", command]);
        variables.iter().for_each(|(name, value)| {
            shell.env(name, value);
        });
        let output = shell.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{}: `{command}` ended with {:?}\n{said}",
            page.display(),
            output.status.code()
        );
    }
}

#[test]
fn every_command_of_the_book_runs() {
    let mut count = 0;
    for page in pages() {
        let (plain, real) = commands(&std::fs::read_to_string(&page).unwrap());
        run(&page, &plain, &[]);
        count += plain.len();
        if !real.is_empty()
            && let Some(network) = crate::shared::path("models/cifar10-d128-b2.safetensors")
            && let Some(images) = crate::shared::path("data/cifar10-test-1000.bin")
        {
            run(&page, &real, &[("NET", network), ("DATA", images)]);
        }
    }
    assert!(count >= 25, "only {count} commands were found");
}

#[test]
fn every_example_of_the_help_runs() {
    let help = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_spikemesh")).args(args).env("COLUMNS", "200").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let verbs = [
        "demo", "check", "run", "record", "map", "timeline", "probe", "report", "chips", "dump", "import", "accuracy",
        "diff", "sweep", "merge", "pareto",
    ];
    let mut all = vec!["spikemesh demo -n 2 --save sample".to_string()];
    for verb in verbs {
        let mut examples: Vec<String> = vec![];
        let text = help(&[verb, "--help"]);
        // a long example goes on in the next line
        for line in text.lines().skip_while(|line| *line != "Examples:").skip(1).filter(|line| !line.is_empty()) {
            match (line.strip_prefix("  spikemesh "), examples.last_mut()) {
                (Some(rest), _) => examples.push(format!("spikemesh {rest}")),
                (None, Some(last)) => *last = format!("{last} {}", line.trim()),
                (None, None) => {}
            }
        }
        assert!(!examples.is_empty(), "{verb} --help has no example");
        if verb == "report" {
            all.push("cp -r out out8".to_string());
        }
        all.extend(examples);
    }
    run(Path::new("--help"), &all, &[]);
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            let elsewhere = file.is_empty() || file.contains("://") || file.contains(' ');
            assert!(elsewhere || page.parent().unwrap().join(file).exists(), "{name} links to {link}");
        }
    }
}
