//! Picture files in memory: JPEG and PNG become bytes of colours.

use crate::units::Grid;
use std::io::Cursor;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Longest side of a picture, in pixels.
const MAX_SIDE: u32 = 4096;

/// Height, width and colours (1 or 3) of a picture.
///
/// # Errors
/// What is wrong with it: neither JPEG nor PNG, damaged, or too large.
pub fn grid(file: &[u8]) -> Result<Grid, String> {
    let grid = if is_png(file) { png_grid(&png_reader(file)?) } else { jpeg_grid(&mut jpeg_reader(file)?)? };
    let sides = 1..=MAX_SIDE;
    if sides.contains(&grid.height) && sides.contains(&grid.width) {
        return Ok(grid);
    }
    Err(format!("has a picture of {grid}, where sides of 1 to {MAX_SIDE} are taken"))
}

/// The bytes of a picture, colours innermost.
///
/// # Errors
/// What is wrong with it: neither JPEG nor PNG, damaged, or not of shape `wanted`.
pub fn decode(file: &[u8], wanted: Grid) -> Result<Vec<u8>, String> {
    let came = grid(file)?;
    if came != wanted {
        return Err(format!("has a picture of {came}, where {wanted} is wanted"));
    }
    let pixels = if is_png(file) { png_pixels(file)? } else { jpeg_pixels(file)? };
    if pixels.len() == wanted.neurons() { Ok(pixels) } else { Err(damaged("JPEG or PNG", "it ends early")) }
}

fn damaged(kind: &str, why: impl ToString) -> String {
    format!("has a damaged {kind} picture ({})", why.to_string().trim())
}

type Jpeg<'f> = JpegDecoder<ZCursor<&'f [u8]>>;

fn jpeg_reader(file: &[u8]) -> Result<Jpeg<'_>, String> {
    if !file.starts_with(&[0xff, 0xd8]) {
        return Err("has a picture that is neither JPEG nor PNG".to_string());
    }
    let mut reader = JpegDecoder::new_with_options(ZCursor::new(file), DecoderOptions::default().set_strict_mode(true));
    reader.decode_headers().map_err(|error| damaged("JPEG", error))?;
    Ok(reader)
}

fn jpeg_grid(reader: &mut Jpeg) -> Result<Grid, String> {
    let Some(info) = reader.info() else { return Err(damaged("JPEG", "it has no size")) };
    let channels = if reader.input_colorspace() == Some(ColorSpace::Luma) { 1 } else { 3 };
    Ok(Grid { height: info.height.into(), width: info.width.into(), channels })
}

fn jpeg_pixels(file: &[u8]) -> Result<Vec<u8>, String> {
    let mut reader = jpeg_reader(file)?;
    let colours = if jpeg_grid(&mut reader)?.channels == 1 { ColorSpace::Luma } else { ColorSpace::RGB };
    reader.set_options(reader.options().jpeg_set_out_colorspace(colours));
    reader.decode().map_err(|error| damaged("JPEG", error))
}

fn is_png(file: &[u8]) -> bool {
    file.starts_with(b"\x89PNG")
}

type Png<'f> = png::Reader<Cursor<&'f [u8]>>;

/// A reader that gives 8 bits a colour, palettes looked up.
fn png_reader(file: &[u8]) -> Result<Png<'_>, String> {
    let mut decoder = png::Decoder::new(Cursor::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.read_info().map_err(|error| damaged("PNG", error))
}

fn png_grid(reader: &Png) -> Grid {
    let (info, (colours, _)) = (reader.info(), reader.output_color_type());
    Grid { height: info.height, width: info.width, channels: if is_grey(colours) { 1 } else { 3 } }
}

fn is_grey(colours: png::ColorType) -> bool {
    matches!(colours, png::ColorType::Grayscale | png::ColorType::GrayscaleAlpha)
}

/// The colours without their opacity.
fn png_pixels(file: &[u8]) -> Result<Vec<u8>, String> {
    let mut reader = png_reader(file)?;
    let size = reader.output_buffer_size().ok_or_else(|| damaged("PNG", "it is too large"))?;
    let mut bytes = vec![0; size];
    let frame = reader.next_frame(&mut bytes).map_err(|error| damaged("PNG", error))?;
    bytes.truncate(frame.buffer_size());
    let kept = if is_grey(frame.color_type) { 1 } else { 3 };
    Ok(bytes.chunks_exact(frame.color_type.samples()).flat_map(|pixel| pixel[..kept].iter().copied()).collect())
}
