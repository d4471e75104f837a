//! Whether a file holds the whole picture: decoders make something of a part, and that would be
//! answered with confidence.

use image::ImageFormat;

/// Where the picture ends in the file; what follows is nobody's.
///
/// # Errors
/// What is missing.
pub(super) fn check(bytes: &[u8], format: ImageFormat) -> Result<usize, &'static str> {
    if format == ImageFormat::Jpeg {
        return jpeg(bytes).ok_or("no end-of-image marker");
    }
    if format == ImageFormat::Png {
        return png(bytes).ok_or("no IEND chunk");
    }
    if format == ImageFormat::Gif {
        return gif(bytes).ok_or("no trailer");
    }
    if format == ImageFormat::WebP {
        return announced(bytes, 4, 8).ok_or("fewer bytes than its RIFF header says");
    }
    if format == ImageFormat::Bmp {
        return announced(bytes, 2, 0).ok_or("fewer bytes than its header says");
    }
    // TIFF: its decoder lacks nothing in silence.
    Ok(bytes.len())
}

/// Walks markers and scans to EOI. Thumbnails lie inside of segments and are passed over.
fn jpeg(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        // To the next marker; in a scan, 0xff is followed by 0, or by a restart.
        while *bytes.get(at)? != 0xff || matches!(bytes.get(at + 1)?, 0 | 0xff | 0xd0..=0xd7) {
            at += 1;
        }
        match bytes.get(at + 1)? {
            0xd9 => return Some(at + 2),
            0x01 | 0xd8 => at += 2,
            _ => {
                let length = u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]);
                at += 2 + usize::from(length);
            }
        }
    }
}

fn png(bytes: &[u8]) -> Option<usize> {
    let mut at = 8;
    loop {
        let header: &[u8; 8] = bytes.get(at..)?.first_chunk()?;
        let [a, b, c, d, kind @ ..] = header;
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        at = at.checked_add(12)?.checked_add(length)?;
        if at > bytes.len() {
            return None;
        }
        if kind == b"IEND" {
            return Some(at);
        }
    }
}

fn gif(bytes: &[u8]) -> Option<usize> {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + table(*bytes.get(10)?);
    loop {
        match bytes.get(at)? {
            0x3b => return Some(at + 1),
            0x21 => at += 2,
            0x2c => at += 11 + table(*bytes.get(at + 9)?),
            _ => return None,
        }
        // Blocks up to an empty one.
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
    }
}

/// A length in the header, with so many bytes before it that it does not count. Some programs write
/// none.
fn announced(bytes: &[u8], at: usize, before: usize) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize;
    match length.checked_add(before)? {
        end if length > 0 && end > bytes.len() => None,
        _ => Some(bytes.len()),
    }
}
