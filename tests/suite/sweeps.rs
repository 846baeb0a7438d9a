//! Sweeps: the same rows whatever the threads, the parts and the interruptions; fronts; and everything that a plan can have wrong.

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use spikemesh::explore::{self, Goal, Sweep};
use spikemesh::load;
use spikemesh::plan::{Choice, Level, Plan, Screen, Span};
use spikemesh::random::Draws;
use spikemesh::report::Claim;
use spikemesh::rows::{Cell, Column, ColumnKind, Table};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

const SAMPLE: &str = "docs/plans/sample.ron";

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spikemesh"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("COLUMNS", "100").args(args);
    command
}

fn spikemesh(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn done(args: &[&str]) -> String {
    let output = spikemesh(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refusal(args: &[&str]) -> String {
    let output = spikemesh(args);
    assert_eq!(output.status.code(), Some(2), "wrong input is exit status 2");
    String::from_utf8(output.stderr).unwrap()
}

fn text(folder: &Path, file: &str) -> Vec<u8> {
    std::fs::read(folder.join(file)).unwrap()
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_string()
}

/// Threads, parts, a line that was cut off, a process that was killed: every way leads to the same bytes.
#[test]
fn a_documented_plan_gives_the_same_rows_however_it_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let named = |name: &str| path(&folder, name);
    let said = done(&["sweep", SAMPLE, "--out", &named("one"), "--threads", "1"]);
    assert!(said.starts_with("42 points: 28 run, 0 forecast only, 14 refused"), "{said}");
    let whole = ["results.csv", "results.parquet"].map(|file| text(&out("one"), file));
    let same = |name: &str| {
        assert_eq!(["results.csv", "results.parquet"].map(|file| text(&out(name), file)), whole, "{name}");
    };
    for part in ["1/3", "2/3", "3/3"] {
        done(&["sweep", SAMPLE, "--out", &named(&part[..1]), "--shard", part, "--threads", "2"]);
    }
    done(&["merge", &named("3"), &named("1"), &named("2"), "--out", &named("merged")]);
    same("merged");
    let missing = spikemesh(&["merge", &named("3"), &named("1"), "--out", &named("half")]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("points are missing"));

    std::fs::create_dir(out("cut")).unwrap();
    std::fs::copy(out("one/sweep.ron"), out("cut/sweep.ron")).unwrap();
    for cut in [whole[0].len() / 3, whole[0].len() - 1] {
        std::fs::write(out("cut/results.csv"), &whole[0][..cut]).unwrap();
        done(&["sweep", SAMPLE, "--out", &named("cut"), "--resume"]);
        same("cut");
    }
    let mut child = command(&["sweep", SAMPLE, "--out", &named("killed"), "--threads", "1"]).spawn().unwrap();
    let lines = || std::fs::read(out("killed/results.csv")).map_or(0, |t| t.iter().filter(|b| **b == b'\n').count());
    while lines() < 20 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    done(&["sweep", SAMPLE, "--out", &named("killed"), "--resume"]);
    same("killed");
}

#[test]
fn prices_and_clocks_take_no_run_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let said = done(&["sweep", SAMPLE, "--out", &path(&folder, "dry"), "--dry"]);
    assert_eq!(said.trim(), "42 points take 21 runs, 6 placements and 1 functional runs; 42 points are in part 1/1");
    let sweep = |axes: &str| {
        let text = format!("(network: \"sample\", chip: \"mesh28\", axes: [{axes}])");
        let file = folder.path().join("plan.ron");
        std::fs::write(&file, text).unwrap();
        Sweep::new(load::plan(&file).unwrap()).unwrap().runs()
    };
    assert_eq!(sweep("(\"spike_pj\", values([0.1, 0.2, 0.3])), (\"static_mw\", range(1, 5, 1))"), [1, 1, 1]);
    assert_eq!(sweep("(\"buffer_flits\", values([4, 8])), (\"core.lanes\", values([4, 8]))"), [4, 1, 1]);
    assert_eq!(sweep("(\"time_steps\", values([2, 4])), (\"weight_bits\", values([6, 8]))"), [4, 4, 4]);
    assert_eq!(sweep("(\"discipline\", values([\"tokens\", \"barrier\"])), (\"seed\", values([1, 2]))"), [4, 4, 2]);
}

/// Buffers that are too small for one point keep no other point from the placement that it would have shared.
#[test]
fn a_point_that_cannot_be_keeps_its_reason_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.ron");
    let axes = "(\"buffer_flits\", values([1, 8, 2])), (\"strategy\", values([\"greedy\", \"snake\"])), (\"columns\", values([16, 0]))";
    std::fs::write(&file, format!("(network: \"sample\", chip: \"mesh28\", axes: [{axes}])")).unwrap();
    done(&["sweep", file.to_str().unwrap(), "--out", &path(&folder, "out")]);
    let table = load::table(&folder.path().join("out/results.csv")).unwrap();
    let (status, reason) = (table.column("status").unwrap(), table.column("reason").unwrap());
    for row in &table.rows {
        let fits = row[1] == Cell::Whole(8) && row[3] == Cell::Whole(16);
        assert_eq!(row[status], Cell::Word(if fits { "run" } else { "refused" }.to_string()));
        let why = row[reason].to_string();
        assert!(
            fits || why.contains(if row[3] == Cell::Whole(0) {
                "give a whole number from 1"
            } else {
                "buffer_flits is"
            })
        );
    }
}

/// Rows hold what `run` says, and Parquet what CSV says.
#[test]
fn a_row_is_a_run() {
    let folder = tempfile::tempdir().unwrap();
    done(&["sweep", "tests/suite/plans/two.ron", "--out", &path(&folder, "out")]);
    let table = load::table(&folder.path().join("out/results.csv")).unwrap();
    let run = done(&[
        "run",
        "--trace",
        "traces/sample.safetensors",
        "--chip",
        "mesh28",
        "--set",
        "core.lanes=16",
        "--strategy",
        "snake",
        "--json",
    ]);
    let run: serde_json::Value = serde_json::from_str(&run).unwrap();
    let row = table.rows.iter().find(|row| row[table.column("core.lanes").unwrap()] == Cell::Whole(16)).unwrap();
    for key in ["cycles_per_image", "time_ms_per_image", "energy_uj_per_image"] {
        assert_eq!(row[table.column(key).unwrap()].number(), run[key].as_f64(), "{key}");
    }
    let file = std::fs::File::open(folder.path().join("out/results.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    for (row, cells) in reader.get_row_iter(None).unwrap().zip(&table.rows) {
        for ((name, field), (column, cell)) in row.unwrap().get_column_iter().zip(table.columns.iter().zip(cells)) {
            let stored = if let Field::Long(value) = field {
                Some(value.to_string())
            } else if let Field::Double(value) = field {
                Some(value.to_string())
            } else if let Field::Str(word) = field {
                Some(word.clone())
            } else {
                assert_eq!(field, &Field::Null);
                None
            };
            assert_eq!((name, stored.unwrap_or_default()), (&column.name, cell.to_string()));
        }
    }
}

#[test]
fn screening_forecasts_from_below_and_says_how_often_it_was_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let plan = load::plan(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plans/screened.ron")).unwrap();
    let plan = Plan { points: Choice::Latin(40), screen: Screen::Halving { keep: 6, audit: 5 }, ..plan };
    let sweep = Sweep::new(plan).unwrap();
    let rows = std::sync::Mutex::new(vec![]);
    sweep.run(&sweep.share((1, 1)), &BTreeSet::new(), &|more| {
        rows.lock().unwrap().extend(more);
        true
    });
    let table = Table { columns: sweep.columns().to_vec(), rows: rows.into_inner().unwrap() };
    let screening = explore::screening(&table, 6).unwrap();
    assert_eq!((screening.screened, screening.chosen, screening.audited, screening.pairs), (29, 6, 5, 15));
    assert_eq!(screening.undercut, 0, "no run takes less than the least");
    drop(folder);
}

#[test]
fn drawn_points_come_from_their_seed_and_a_latin_square_is_even() {
    let axis = |name: &str, count: i64| (name.to_string(), Span::Values((1..=count).map(Level::Whole).collect()));
    let plan = |points, seed| Plan {
        network: "sample".to_string(),
        arch: String::new(),
        images: String::new(),
        count: 1,
        trace: String::new(),
        chip: "mesh28".to_string(),
        set: vec![],
        axes: vec![axis("core.lanes", 8), axis("noc.buffer_flits", 4)],
        points,
        only: vec![],
        columns: vec![],
        seed,
        screen: Screen::All,
    };
    let points = |choice, seed| explore::points(&plan(choice, seed)).unwrap();
    assert_eq!(points(Choice::Random(50), 1), points(Choice::Random(50), 1));
    assert_ne!(points(Choice::Random(50), 1), points(Choice::Random(50), 2));
    let latin = points(Choice::Latin(16), 3);
    for (at, count, each) in [(0, 8, 2), (1, 4, 4)] {
        for value in 1..=count {
            assert_eq!(latin.iter().filter(|point| point.levels[at] == Level::Whole(value)).count(), each);
        }
    }
    assert_eq!(points(Choice::Grid, 0).len(), 32);
    assert_eq!(Span::Range(2, 9, 3).levels(), [2, 5, 8].map(Level::Whole));
    assert_eq!(Span::Doubling(3, 30).levels(), [3, 6, 12, 24].map(Level::Whole));
    assert!(Span::Range(1, i64::MAX, 1).levels().len() <= 1_000_000, "and ends");
}

#[test]
fn a_front_is_what_nothing_beats() {
    let mut draws = Draws::new(11);
    let columns = ["a", "b", "c"].map(|name| Column::new(name, ColumnKind::Whole)).to_vec();
    let mut rows: Vec<Vec<Cell>> =
        (0..300).map(|_| (0..3).map(|_| Cell::Whole(draws.below(20) as i64)).collect()).collect();
    rows[5][1] = Cell::Empty;
    let table = Table { columns, rows };
    let goals = [(0, false), (1, true), (2, false)].map(|(column, more)| Goal { column, more });
    for goals in [&goals[..2], &goals[..]] {
        let figures = |row: &Vec<Cell>| -> Option<Vec<f64>> {
            goals.iter().map(|g| row[g.column].number().map(|n| if g.more { -n } else { n })).collect()
        };
        let beaten = |own: &Vec<f64>| {
            let mut others = table.rows.iter().filter_map(figures);
            others.any(|other| other != *own && other.iter().zip(own).all(|(a, b)| a <= b))
        };
        let wanted: Vec<usize> =
            (0..300).filter(|at| figures(&table.rows[*at]).is_some_and(|own| !beaten(&own))).collect();
        assert_eq!(explore::front(&table, goals), wanted);
    }
}

#[test]
fn a_front_is_a_table_and_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let named = |name: &str| path(&folder, name);
    done(&["sweep", "tests/suite/plans/two.ron", "--out", &named("out")]);
    let columns = "time_ms_per_image,energy_uj_per_image,max:core.lanes";
    let said = done(&["pareto", &named("out"), "--columns", columns, "--plot", &named("f.svg"), "-o", &named("f.csv")]);
    assert!(said.contains("rows with numbers are on the front"), "{said}");
    let front = load::table(&folder.path().join("f.csv")).unwrap();
    assert!(!front.rows.is_empty());
    let svg = std::fs::read_to_string(folder.path().join("f.svg")).unwrap();
    assert_eq!(svg.matches("<circle").count(), 2);
    assert!(svg.contains("time_ms_per_image") && svg.contains("colour: core.lanes") && svg.ends_with("</svg>\n"));
    let wrong = refusal(&["pareto", &named("out"), "--columns", "time_ms_per_imag,tiles"]);
    assert_eq!(
        wrong.trim(),
        "error: the results have no column of numbers `time_ms_per_imag`; did you mean `time_ms_per_image`?"
    );
    let wrong = refusal(&["pareto", &named("out"), "--columns", "tiles"]);
    assert_eq!(wrong.trim(), "error: 1 columns make no front; give two or three");
}

#[test]
fn two_runs_are_compared_layer_by_layer() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (path(&folder, "a"), path(&folder, "b"));
    for (out, lanes) in [(&a, "core.lanes=32"), (&b, "core.lanes=8")] {
        done(&["run", "--trace", "traces/sample.safetensors", "--chip", "mesh28", "--set", lanes, "--out", out]);
    }
    let said = done(&["diff", &a, &a]);
    assert!(said.contains("18 layers are equal in all of these"), "{said}");
    let changed: serde_json::Value = serde_json::from_str(&done(&["diff", &a, &b, "--json"])).unwrap();
    assert!(changed["totals"]["cycles"]["a"].as_f64().unwrap() < changed["totals"]["cycles"]["b"].as_f64().unwrap());
    let layers = changed["layers"].as_array().unwrap();
    assert!(layers.iter().all(|layer| layer["figures"]["spikes"]["a"] == layer["figures"]["spikes"]["b"]));
    assert!(done(&["diff", &a, &b]).contains('→'));
    assert!(refusal(&["diff", &a, "README.md"]).contains("is no result of this version of spikemesh"));
}

#[test]
fn a_plan_that_cannot_be_carried_out_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let plans: &[(&str, &str)] = &[
        ("an unknown axis", "network: \"sample\", chip: \"mesh28\", axes: [(\"mesh.colums\", values([16]))]"),
        ("an axis that could be several", "network: \"sample\", chip: \"mesh28\", axes: [(\"lanes\", values([16]))]"),
        (
            "empty ranges, one axis twice",
            "network: \"sample\", chip: \"mesh28\", axes: [(\"core.lanes\", range(8, 4, 2)), (\"core.lanes\", values([])), (\"seed\", range(1, 4, 0))]",
        ),
        (
            "values that an axis cannot take",
            "network: \"sample\", chip: \"mesh28\", axes: [(\"strategy\", values([\"hilbret\"])), (\"time_steps\", values([-1]))]",
        ),
        ("a key that no plan has", "network: \"sample\", chip: \"mesh28\", axis: []"),
        ("no axes, no network", "chip: \"mesh28\", axes: []"),
        (
            "conditions that leave nothing",
            "network: \"sample\", chip: \"mesh28\", axes: [(\"core.lanes\", values([4, 8]))], only: [\"core.lanes > 2\", \"core.lanes * mesh.rows > 1000\"]",
        ),
        (
            "a condition that is none",
            "network: \"sample\", chip: \"mesh28\", axes: [(\"core.lanes\", values([4]))], only: [\"core.lanes * 2\"]",
        ),
        (
            "a condition with an unknown name",
            "network: \"sample\", chip: \"mesh28\", axes: [(\"core.lanes\", values([4]))], only: [\"core.lane > 2\"]",
        ),
        (
            "a column that does not parse",
            "network: \"sample\", chip: \"mesh28\", axes: [(\"core.lanes\", values([4]))], columns: [(\"x\", \"cycles_least *\")]",
        ),
        (
            "a column that is there",
            "network: \"sample\", chip: \"mesh28\", axes: [(\"core.lanes\", values([4]))], columns: [(\"status\", \"1\")]",
        ),
        (
            "too many points",
            "network: \"sample\", chip: \"mesh28\", axes: [(\"core.lanes\", range(1, 60000, 1)), (\"seed\", range(1, 60000, 1))]",
        ),
        (
            "lists of unequal length",
            "network: \"sample\", chip: \"mesh28\", points: list, axes: [(\"core.lanes\", values([4])), (\"seed\", values([1, 2]))]",
        ),
        ("a chip that is not there", "network: \"sample\", chip: \"mesh29\", axes: [(\"core.lanes\", values([4]))]"),
        (
            "a trace of another network",
            "network: \"sample\", trace: \"sample.safetensors\", chip: \"mesh28\", axes: [(\"weight_bits\", values([4, 6]))]",
        ),
        (
            "a trace only, with an axis of the network",
            "trace: \"sample.safetensors\", chip: \"mesh28\", axes: [(\"weight_bits\", values([4, 6]))]",
        ),
    ];
    // Beside the plan, so that the columns that faults are at do not depend on where the repository lies.
    let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/sample.safetensors");
    std::fs::copy(trace, folder.path().join("sample.safetensors")).unwrap();
    let mut all = vec![];
    for (title, plan) in plans {
        let file = folder.path().join("plan.ron");
        std::fs::write(&file, format!("({plan})")).unwrap();
        let said = refusal(&["sweep", file.to_str().unwrap(), "--out", &path(&folder, "out")]);
        let said = said.replace(folder.path().to_str().unwrap(), "");
        all.push(format!("# {title}\n{said}"));
    }
    insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("refused_plans", all.join("\n"));
    });
    assert!(!folder.path().join("out").exists(), "nothing is made for a plan that is refused");
}

#[test]
fn a_folder_belongs_to_one_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(&folder, "out");
    let two = "tests/suite/plans/two.ron";
    let mut all = vec![];
    {
        let _other = Claim::new(Path::new(&out)).unwrap();
        all.push(refusal(&["sweep", two, "--out", &out]));
    }
    done(&["sweep", two, "--out", &out]);
    let other = refusal(&["sweep", SAMPLE, "--out", &out, "--resume"]);
    assert!(other.contains("holds the sweep of another plan, or of other files; its identity is "), "{other}");
    all.push(refusal(&["sweep", two, "--out", &out, "--resume", "--shard", "1/2"]));
    all.push(refusal(&["sweep", two, "--out", &out, "--shard", "3/2"]));
    let before = text(Path::new(&out), "results.csv");
    done(&["sweep", two, "--out", &out, "--resume"]);
    assert_eq!(text(Path::new(&out), "results.csv"), before, "a finished sweep stays as it is");
    let all = all.join("\n").replace(folder.path().to_str().unwrap(), "");
    insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("folders_that_take_no_sweep", all);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::os::unix::fs::symlink("/dev/full", out.join("results.csv")).unwrap();
    let said = refusal(&["sweep", "tests/suite/plans/two.ron", "--out", out.to_str().unwrap()]);
    assert_eq!(
        said.replace(folder.path().to_str().unwrap(), "").trim(),
        "error: /out/results.csv: cannot be written (no storage space); check that its folder exists and has room"
    );
    std::fs::remove_file(out.join("results.csv")).unwrap();
    done(&["sweep", "tests/suite/plans/two.ron", "--out", out.to_str().unwrap(), "--resume"]);
}
