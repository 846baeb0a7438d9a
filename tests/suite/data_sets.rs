//! Whole data sets, training and test images together: the official archive, IDX files, Parquet.

use crate::bad_inputs::golden;
use crate::shared;
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::basic::{Compression as Packing, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use spikemesh::images::Images;
use spikemesh::load;
use spikemesh::network::Input;
use spikemesh::units::Grid;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// CIFAR-10 records, one for each label, every pixel `label + colour`.
fn records(labels: &[u8]) -> Vec<u8> {
    let record = |&label: &u8| {
        let planes = (0..3).flat_map(move |colour| std::iter::repeat_n(label + colour, 1024));
        std::iter::once(label).chain(planes).collect::<Vec<u8>>()
    };
    labels.iter().flat_map(record).collect()
}

/// The files of the official archive with two images each.
fn batches() -> Vec<(String, Vec<u8>)> {
    let batch = |number: u8| (format!("data_batch_{number}.bin"), records(&[number, number + 1]));
    let named =
        [("batches.meta.txt".to_string(), b"airplane\n".to_vec()), ("test_batch.bin".to_string(), records(&[9, 0]))];
    (1..=5).map(batch).chain(named).collect()
}

/// A POSIX tape archive of these files in a folder, packed with gzip.
fn tar_gz(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = header("cifar-10-batches-bin/", 0, b'5').to_vec();
    for (name, bytes) in files {
        tar.extend(header(&format!("cifar-10-batches-bin/{name}"), bytes.len(), b'0'));
        tar.extend(bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.extend([0; 1024]);
    let mut packed = GzEncoder::new(vec![], Compression::fast());
    packed.write_all(&tar).unwrap();
    packed.finish().unwrap()
}

fn header(name: &str, size: usize, kind: u8) -> [u8; 512] {
    let mut header = [0u8; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(257, "ustar\x0000");
    header[156] = kind;
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

fn file(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn the_official_archive_is_read_packed_and_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let archive = file(&folder, "cifar-10-binary.tar.gz", tar_gz(&batches()));
    let (training, test) = load::data(&archive).unwrap();
    assert_eq!(
        (training.labels.as_slice(), test.labels.as_slice()),
        (&[1, 2, 2, 3, 3, 4, 4, 5, 5, 6][..], &[9, 0][..])
    );
    assert_eq!(training.grid, Grid { height: 32, width: 32, channels: 3 });
    assert_eq!(training.image(9)[..6], [6, 7, 8, 6, 7, 8], "colours innermost");
    assert_eq!(load::data(folder.path()).unwrap(), (training.clone(), test.clone()), "a folder that holds it");
    let unpacked = folder.path().join("cifar-10-batches-bin");
    std::fs::create_dir(&unpacked).unwrap();
    batches().iter().for_each(|(name, bytes)| std::fs::write(unpacked.join(name), bytes).unwrap());
    assert_eq!(load::data(folder.path()).unwrap(), (training.clone(), test.clone()), "a folder it was unpacked in");
    assert_eq!(load::data(&unpacked).unwrap(), (training, test), "its own folder");
}

#[test]
fn archives_and_folders_that_are_no_data_set() {
    let folder = tempfile::tempdir().unwrap();
    golden("data_in_an_empty_folder", &folder, load::data(&folder.path().join(".")));
    golden("data_that_does_not_exist", &folder, load::data(&folder.path().join("cifar.tar.gz")));
    let whole = tar_gz(&batches());
    let refused = |name: &str, bytes: &[u8]| {
        let archive = file(&folder, "cifar.tar.gz", bytes);
        golden(name, &folder, load::data(&archive));
    };
    refused("archive_that_is_no_gzip", b"a page that says: not found");
    refused("archive_of_something_else", &{
        let mut packed = GzEncoder::new(vec![], Compression::fast());
        packed.write_all(&[7; 2000]).unwrap();
        packed.finish().unwrap()
    });
    refused("archive_of_the_python_version", &tar_gz(&[("data_batch_1".to_string(), vec![0x80, 2])]));
    refused("archive_that_is_cut_off", &whole[..whole.len() - 60]);
    let mut changed = batches();
    changed[2].1.truncate(4000);
    refused("archive_with_a_truncated_batch", &tar_gz(&changed));
    let mut changed = batches();
    changed[4].1[3073] = 10;
    refused("archive_with_a_label_out_of_range", &tar_gz(&changed));
}

#[test]
fn folders_with_a_batch_that_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    batches().iter().for_each(|(name, bytes)| drop(file(&folder, name, bytes)));
    file(&folder, "data_batch_3.bin", &records(&[1, 2])[..5000]);
    golden("batch_that_is_truncated", &folder, load::data(folder.path()));
    file(&folder, "data_batch_3.bin", records(&[1, 200]));
    golden("batch_with_a_label_out_of_range", &folder, load::data(folder.path()));
    std::fs::remove_file(folder.path().join("data_batch_3.bin")).unwrap();
    golden("batch_that_is_missing", &folder, load::data(folder.path()));
}

#[test]
fn idx_files_of_any_size_are_a_data_set() {
    let folder = tempfile::tempdir().unwrap();
    for (part, count) in [("train", 3u8), ("t10k", 2)] {
        let head = [0x803, u32::from(count), 28, 28].map(u32::to_be_bytes).concat();
        let pixels: Vec<u8> = (0..count).flat_map(|at| vec![at; 784]).collect();
        file(&folder, &format!("{part}-images-idx3-ubyte"), [head, pixels].concat());
        let head = [0x801, u32::from(count)].map(u32::to_be_bytes).concat();
        file(&folder, &format!("{part}-labels-idx1-ubyte"), [head, (0..count).collect()].concat());
    }
    let (training, test) = load::data(folder.path()).unwrap();
    assert_eq!(training.grid, Grid { height: 28, width: 28, channels: 1 });
    assert_eq!((training.labels, test.labels), (vec![0, 1, 2], vec![0, 1]));
    assert!(training.pixels.chunks_exact(784).enumerate().all(|(at, image)| image.iter().all(|&v| v == at as u8)));
    file(&folder, "t10k-labels-idx1-ubyte", [0, 0, 8, 1, 0, 0, 0, 2, 3, 11]);
    golden("data_with_an_idx_label_out_of_range", &folder, load::data(folder.path()));
}

/// A picture as PNG, every pixel `value` plus its colour.
fn picture(side: u32, colours: png::ColorType, value: u8) -> Vec<u8> {
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(colours);
    let samples = colours.samples();
    let pixels: Vec<u8> = (0..side as usize * side as usize * samples).map(|at| value + (at % samples) as u8).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

/// Parquet with one row group of pictures and labels.
fn packed(path: &Path, label: &str, pictures: &[Option<Vec<u8>>], labels: &[i64], packing: Packing) {
    let schema = format!(
        "message rows {{ optional group image {{ optional binary bytes; optional binary path (STRING); }} {label}; }}"
    );
    let properties = Arc::new(WriterProperties::builder().set_compression(packing).build());
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let mut writer = SerializedFileWriter::new(std::fs::File::create(path).unwrap(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let values: Vec<ByteArray> = pictures.iter().flatten().map(|bytes| ByteArray::from(bytes.clone())).collect();
    let there: Vec<i16> = pictures.iter().map(|bytes| if bytes.is_some() { 2 } else { 1 }).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&values, Some(&there), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&[], Some(&vec![1; pictures.len()]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    if label.contains("int32") {
        let narrow: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
        column.typed::<Int32Type>().write_batch(&narrow, None, None).unwrap();
    } else {
        column.typed::<Int64Type>().write_batch(labels, Some(&vec![1; labels.len()]), None).unwrap();
    }
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

fn zstd() -> Packing {
    Packing::ZSTD(ZstdLevel::default())
}

fn input(side: u32, channels: u32) -> Input {
    let each = vec![0.5; channels as usize];
    Input { height: side, width: side, channels, mean: each.clone(), std: each }
}

fn pngs(values: &[u8], colours: png::ColorType) -> Vec<Option<Vec<u8>>> {
    values.iter().map(|&value| Some(picture(8, colours, value))).collect()
}

#[test]
fn pictures_in_parquet_become_images() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.parquet");
    for (label, packing) in [("optional int64 label", zstd()), ("required int32 label", Packing::SNAPPY)] {
        packed(&path, label, &pngs(&[10, 20, 30], png::ColorType::Rgb), &[2, 0, 1], packing);
        let images = load::images(&path, &input(8, 3), 3, None).unwrap();
        assert_eq!(images.labels, [2, 0, 1]);
        assert_eq!(images.image(1)[..6], [20, 21, 22, 20, 21, 22]);
        assert_eq!(load::images(&path, &input(8, 3), 3, Some(2)).unwrap(), images.first(2));
    }
    packed(&path, "optional int64 label", &pngs(&[10, 20], png::ColorType::Rgba), &[0, 1], zstd());
    assert_eq!(load::images(&path, &input(8, 3), 3, None).unwrap().image(1)[..6], [20, 21, 22, 20, 21, 22]);
    packed(&path, "optional int64 label", &pngs(&[10, 20], png::ColorType::Grayscale), &[0, 1], zstd());
    assert_eq!(load::images(&path, &input(8, 1), 3, None).unwrap().image(1)[..6], [20; 6]);
}

#[test]
fn parquet_files_named_train_and_test_are_a_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, values: &[u8]| {
        let labels: Vec<i64> = values.iter().map(|&value| i64::from(value / 10)).collect();
        let path = folder.path().join(name);
        packed(&path, "optional int64 label", &pngs(values, png::ColorType::Rgb), &labels, zstd());
    };
    write("train-00001-of-00002.parquet", &[30, 40]);
    write("train-00000-of-00002.parquet", &[10, 20]);
    golden("data_without_test_images", &folder, load::data(&folder.path().join(".")));
    write("test-00000-of-00001.parquet", &[0]);
    let (training, test) = load::data(folder.path()).unwrap();
    assert_eq!((training.labels, test.labels), (vec![1, 2, 3, 4], vec![0]));
    assert_eq!(training.grid, Grid { height: 8, width: 8, channels: 3 });
    golden("data_of_one_parquet_file", &folder, load::data(&folder.path().join("test-00000-of-00001.parquet")));
}

#[test]
fn parquet_that_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.parquet");
    let refused = |name: &str| golden(name, &folder, load::images(&path, &input(8, 3), 3, None));
    let plain = "optional int64 label";
    let rgb = pngs(&[10, 20, 30], png::ColorType::Rgb);
    packed(&path, "optional int64 class", &rgb, &[0, 1, 2], zstd());
    refused("parquet_without_labels");
    packed(&path, plain, &rgb, &[0, 1, 3], zstd());
    refused("parquet_with_a_label_out_of_range");
    packed(&path, plain, &rgb, &[0, -1, 1 << 40], zstd());
    refused("parquet_with_labels_that_cannot_be");
    packed(&path, plain, &[rgb[0].clone(), None, rgb[1].clone()], &[0, 1, 2], zstd());
    refused("parquet_with_an_empty_row");
    let (large, text) = (Some(picture(9, png::ColorType::Rgb, 1)), Some(b"GIF89a".to_vec()));
    let cut = rgb[0].as_ref().map(|bytes| bytes[..bytes.len() - 30].to_vec());
    let (jpeg, grey) = (Some(vec![0xff, 0xd8, 0xff, 0xe0]), Some(picture(8, png::ColorType::Grayscale, 1)));
    packed(&path, plain, &[large, text, cut, jpeg, grey], &[0; 5], zstd());
    refused("parquet_with_pictures_that_do_not_fit");
    packed(&path, plain, &[], &[], zstd());
    refused("parquet_without_rows");
}

#[test]
fn damaged_parquet_is_refused_or_read_and_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.parquet");
    packed(&path, "optional int64 label", &pngs(&[10, 20], png::ColorType::Rgb), &[0, 1], zstd());
    let whole = std::fs::read(&path).unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        load::images(&path, &input(8, 3), 3, None)
    };
    for end in 4..whole.len() {
        assert!(read(&whole[..end]).is_err(), "cut off after {end} of {} bytes", whole.len());
    }
    for at in 4..whole.len() {
        for byte in [0, 0x7f, 0xff, whole[at] ^ 1] {
            let mut damaged = whole.clone();
            damaged[at] = byte;
            let _ = read(&damaged);
        }
    }
}

fn difference(a: &Images, b: &Images) -> (u8, f64) {
    let off = || a.pixels.iter().zip(&b.pixels).map(|(a, b)| a.abs_diff(*b));
    (off().max().unwrap_or(0), off().map(f64::from).sum::<f64>() / a.pixels.len() as f64)
}

#[test]
fn the_parquet_of_cifar_10_holds_the_images_of_the_binary_file() {
    let [Some(packed), Some(binary)] = ["data/cifar10-test.parquet", "data/cifar10-test-1000.bin"].map(shared::path)
    else {
        return;
    };
    let input = load::reference::Transformer::default().input;
    let packed = load::images(&packed, &input, 10, Some(1000)).unwrap();
    let binary = load::images(&binary, &input, 10, None).unwrap();
    assert_eq!(packed.labels, binary.labels);
    // a JPEG says what a picture looks like, not the last bit of each colour: decoders differ in how they round
    let (most, mean) = difference(&packed, &binary);
    assert!(most <= 4 && mean < 0.5, "colours differ by {mean} in the mean, by {most} at most");
}

#[test]
fn the_parquet_of_cifar_10_is_a_data_set() {
    let Some(folder) = shared::path("data") else { return };
    let (training, test) = load::data(&folder).unwrap();
    for (images, count) in [(&training, 5000), (&test, 1000)] {
        let of = |class: u32| images.labels.iter().filter(|&&label| label == class).count();
        assert_eq!((0..10).map(of).collect::<Vec<_>>(), [count; 10]);
        assert_eq!(images.pixels.len(), images.len() * 3072);
    }
}
