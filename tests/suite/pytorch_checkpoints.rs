//! Checkpoints of PyTorch: tensors come out of them, and nothing in them is ever run.

use spikemesh::load;
use std::io::Write;
use std::path::PathBuf;
use tempfile::TempDir;

/// A ZIP archive of stored files.
pub fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in files {
        archive.start_file(*name, stored).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

/// What `torch.save` writes for a tensor: its storage, offset, shape and strides.
pub fn tensor(storage: &str, key: &str, numbers: [&[u8]; 3]) -> Vec<u8> {
    let [offset, shape, strides] = numbers.map(|list| list.iter().flat_map(|&n| [b'K', n]).collect::<Vec<u8>>());
    let storage = format!("ctorch\n{storage}\n");
    let id = [b"(".as_slice(), &text("storage"), storage.as_bytes(), &text(key), &text("cpu"), b"K\x06tQ"].concat();
    let sizes = [b"(".as_slice(), &shape, b"t(", &strides, b"t"].concat();
    let head = b"ctorch._utils\n_rebuild_tensor_v2\n(".as_slice();
    [head, &id, &offset, &sizes, b"\x89ccollections\nOrderedDict\n)RtR"].concat()
}

fn written(pickle: Vec<u8>) -> (TempDir, PathBuf) {
    let floats = |values: [f32; 6]| values.map(f32::to_le_bytes).concat();
    let halves = |values: [f32; 6]| values.map(|value| half::f16::from_f32(value).to_le_bytes()).concat();
    let files = [
        ("run/data.pkl", pickle),
        ("run/data/0", floats([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])),
        ("run/data/1", halves([0.5, 1.5, 2.5, 3.5, 4.5, 5.5])),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.pt");
    std::fs::write(&path, archive(&files)).unwrap();
    (folder, path)
}

/// `{'model': {…}, 'optimizer': {}}` with these tensors.
pub fn checkpoint(tensors: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<u8> = tensors.iter().flat_map(|(name, tensor)| [text(name), tensor.clone()].concat()).collect();
    let model = [b"ccollections\nOrderedDict\nq\x02)Rq\x03(".as_slice(), &entries, b"u"].concat();
    [b"\x80\x02}q\x00(".as_slice(), &text("model"), &model, &text("optimizer"), b"}u."].concat()
}

fn refusal(pickle: Vec<u8>) -> String {
    let (folder, path) = written(pickle);
    let error = load::tensors(&path).unwrap_err().to_string();
    error.replace(&folder.path().display().to_string(), "")
}

#[test]
fn tensors_come_out_in_the_order_of_their_shape() {
    let pickle = checkpoint(&[
        ("module.a.weight", tensor("FloatStorage", "0", [&[0], &[2, 3], &[3, 1]])),
        ("module.b.weight", tensor("FloatStorage", "0", [&[0], &[3, 2], &[1, 3]])),
        ("module.c.bias", tensor("HalfStorage", "1", [&[4], &[2], &[1]])),
        ("module.bn.num_batches_tracked", tensor("LongStorage", "0", [&[0], &[], &[]])),
    ]);
    let (_folder, path) = written(pickle);
    let tensors = load::tensors(&path).unwrap();
    let found: Vec<_> = tensors.iter().map(|(name, t)| (name.as_str(), t.shape.clone(), t.values.clone())).collect();
    let wanted = [
        ("a.weight", vec![2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        ("b.weight", vec![3, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
        ("c.bias", vec![2], vec![4.5, 5.5]),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn a_pickle_that_wants_to_run_code_is_refused() {
    let system = [b"\x80\x02cposix\nsystem\n(".as_slice(), &text("echo"), b"tR."].concat();
    assert_eq!(
        refusal(system),
        "/run.pt: is a pickle that wants to run `posix.system`, and no code is run here; save its `model` entry alone, \
         `torch.save({'model': model.state_dict()}, …)`, or as safetensors"
    );
    let stacked = [b"\x80\x04".as_slice(), &text("builtins"), &text("eval"), b"\x93."].concat();
    assert!(refusal(stacked).contains("wants to run `builtins.eval`"));
}

#[test]
fn tensors_outside_their_storage_are_refused() {
    let wrong = checkpoint(&[
        ("a", tensor("FloatStorage", "0", [&[1], &[2, 3], &[3, 1]])),
        ("b", tensor("FloatStorage", "7", [&[0], &[1], &[1]])),
        ("c", tensor("IntStorage", "0", [&[0], &[1], &[1]])),
        ("d", tensor("FloatStorage", "0", [&[0], &[255, 255, 255], &[0, 0, 0]])),
    ]);
    let remedy = "export it as contiguous floats";
    assert_eq!(
        refusal(wrong),
        format!(
            "/run.pt: tensor `a` has shape [2, 3], which does not fit the 6 numbers of its storage; {remedy}\n\
             /run.pt: tensor `b` lies in `data/7`, which the archive does not have; {remedy}\n\
             /run.pt: tensor `c` holds IntStorage, where floats are wanted; {remedy}\n\
             /run.pt: tensor `d` has shape [255, 255, 255], which does not fit the 6 numbers of its storage; {remedy}"
        )
    );
}

#[test]
fn damaged_archives_are_refused_wherever_they_end() {
    let whole = checkpoint(&[("a", tensor("FloatStorage", "0", [&[0], &[2, 3], &[3, 1]]))]);
    let (folder, path) = written(whole.clone());
    let bytes = std::fs::read(&path).unwrap();
    for end in 0..bytes.len() {
        std::fs::write(&path, &bytes[..end]).unwrap();
        assert!(load::tensors(&path).is_err(), "cut off after {end} of {} bytes", bytes.len());
    }
    drop(folder);
    for end in 0..whole.len() {
        assert!(refusal(whole[..end].to_vec()).contains("run.pt: "), "pickle cut off after {end} bytes");
    }
    for at in 0..whole.len() {
        for byte in [0, b'.', b'(', b'R', b't', b'u', b'Q', 0xff] {
            let mut damaged = whole.clone();
            damaged[at] = byte;
            let (_folder, path) = written(damaged);
            let _ = load::tensors(&path);
        }
    }
}
