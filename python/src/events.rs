//! TensorBoard's event files: scalars out of them and into them.
//!
//! A file is a row of records: length (u64, little endian), its checksum, the bytes, their checksum; the checksum is the
//! CRC-32C, turned and shifted (tensorflow/core/lib/io/record_writer.cc, lib/hash/crc32c.h). The bytes are a message `Event`
//! (tensorflow/core/util/event.proto) in the encoding of protocol buffers. Only what a scalar needs is read.

use mle::error::Error;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};

use crate::errors::OrRaise;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn checksum(bytes: &[u8]) -> u32 {
    let crc = bytes
        .iter()
        .fold(!0, |crc: u32, byte| (crc >> 8) ^ TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize]);
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn put_record(to: &mut Vec<u8>, event: &[u8]) {
    let length = (event.len() as u64).to_le_bytes();
    to.extend_from_slice(&length);
    to.extend_from_slice(&checksum(&length).to_le_bytes());
    to.extend_from_slice(event);
    to.extend_from_slice(&checksum(event).to_le_bytes());
}

fn put_varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn put_bytes(to: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    to.push(field << 3 | 2);
    put_varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

/// Returns the record a file begins with.
#[pyfunction]
pub(crate) fn event_head<'py>(py: Python<'py>, seconds: f64) -> Bound<'py, PyBytes> {
    let mut event = vec![0x09];
    event.extend_from_slice(&seconds.to_le_bytes());
    put_bytes(&mut event, 3, b"brain.Event:2");
    let mut record = Vec::new();
    put_record(&mut record, &event);
    PyBytes::new(py, &record)
}

/// Returns the records of a series: steps (int64), values (float64), and when each was logged, float64 seconds after
/// `origin` in unix time. TensorBoard keeps float32.
#[pyfunction]
pub(crate) fn event_records<'py>(
    py: Python<'py>,
    tag: &str,
    steps: &Bound<'py, PyByteArray>,
    values: &Bound<'py, PyByteArray>,
    seconds: &Bound<'py, PyByteArray>,
    origin: f64,
) -> Bound<'py, PyBytes> {
    let (steps, values, seconds) = (steps.to_vec(), values.to_vec(), seconds.to_vec());
    let records = py.detach(|| {
        let mut records = Vec::with_capacity(steps.len() / 8 * (tag.len() + 48));
        let (mut event, mut value, mut summary) = (Vec::new(), Vec::new(), Vec::new());
        let eight = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).expect("chunks of eight");
        for ((step, number), after) in
            steps.chunks_exact(8).zip(values.chunks_exact(8)).zip(seconds.chunks_exact(8))
        {
            value.clear();
            put_bytes(&mut value, 1, tag.as_bytes());
            value.push(0x15);
            let number = f64::from_ne_bytes(eight(number)) as f32;
            value.extend_from_slice(&number.to_le_bytes());
            summary.clear();
            put_bytes(&mut summary, 1, &value);
            event.clear();
            event.push(0x09);
            let at = origin + f64::from_ne_bytes(eight(after));
            event.extend_from_slice(&at.to_le_bytes());
            event.push(0x10);
            put_varint(&mut event, i64::from_ne_bytes(eight(step)) as u64);
            put_bytes(&mut event, 5, &summary);
            put_record(&mut records, &event);
        }
        records
    });
    PyBytes::new(py, &records)
}

/// A scalar of an event: unix seconds, step, tag, value.
type Scalar = (f64, i64, String, f64);

/// Returns the scalars of the whole records at the beginning of some bytes, and how many bytes those are.
#[pyfunction]
pub(crate) fn event_scalars(bytes: &[u8]) -> PyResult<(Vec<Scalar>, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + 12) {
        let length = u64::from_le_bytes(head[..8].try_into().expect("eight bytes"));
        if checksum(&head[..8]).to_le_bytes() != head[8..] {
            return Err(broken(at)).or_raise();
        }
        let end = usize::try_from(length).ok().and_then(|length| (at + 16).checked_add(length));
        let Some(record) = end.and_then(|end| bytes.get(at + 12..end)) else { break };
        let (event, sum) = record.split_at(record.len() - 4);
        if checksum(event).to_le_bytes() != *sum {
            return Err(broken(at)).or_raise();
        }
        // What a later version of the format may have in an event is no reason to leave out the others.
        let _ = scalars_of(event, &mut found);
        at += 12 + record.len();
    }
    Ok((found, at))
}

fn broken(at: usize) -> Error {
    Error::Failed(format!("the record at byte {at} is broken: its checksum differs"))
}

fn scalars_of(event: &[u8], found: &mut Vec<Scalar>) -> Option<()> {
    let (mut seconds, mut step) = (0.0, 0);
    let mut summaries = Vec::new();
    each_field(event, |field, value| match (field, value) {
        (1, Field::Eight(bytes)) => seconds = f64::from_le_bytes(bytes),
        (2, Field::Varint(number)) => step = number as i64,
        (5, Field::Bytes(bytes)) => summaries.push(bytes),
        _ => {}
    })?;
    for summary in summaries {
        let mut values = Vec::new();
        each_field(summary, |field, value| {
            if let (1, Field::Bytes(bytes)) = (field, value) {
                values.push(bytes);
            }
        })?;
        for value in values {
            let (mut tag, mut number) = (None, None);
            each_field(value, |field, value| match (field, value) {
                (1, Field::Bytes(bytes)) => tag = std::str::from_utf8(bytes).ok(),
                (2, Field::Four(bytes)) => number = Some(f64::from(f32::from_le_bytes(bytes))),
                (8, Field::Bytes(bytes)) => number = tensor_number(bytes).or(number),
                _ => {}
            })?;
            if let (Some(tag), Some(number)) = (tag, number) {
                found.push((seconds, step, tag.to_owned(), number));
            }
        }
    }
    Some(())
}

/// Returns the number of a tensor that holds one, as the summaries of TensorFlow 2 have it (tensor.proto, types.proto).
fn tensor_number(tensor: &[u8]) -> Option<f64> {
    let (mut kind, mut content, mut typed, mut dims) = (0, None, None, 0);
    each_field(tensor, |field, value| match (field, value) {
        (1, Field::Varint(number)) => kind = number,
        (2, Field::Bytes(shape)) => dims = shape.len(),
        (4, Field::Bytes(bytes)) => content = Some(bytes),
        (5, Field::Four(bytes)) => typed = Some(f64::from(f32::from_le_bytes(bytes))),
        (6, Field::Eight(bytes)) => typed = Some(f64::from_le_bytes(bytes)),
        (5, Field::Bytes(bytes)) => {
            typed = bytes.try_into().ok().map(|bytes| f64::from(f32::from_le_bytes(bytes)));
        }
        (6, Field::Bytes(bytes)) => typed = bytes.try_into().ok().map(f64::from_le_bytes),
        (7 | 10, Field::Varint(number)) => typed = Some(number as i64 as f64),
        (7 | 10, Field::Bytes(bytes)) => {
            typed = varint(bytes).filter(|(_, rest)| rest.is_empty()).map(|(n, _)| n as i64 as f64);
        }
        _ => {}
    })?;
    if dims > 0 {
        return None;
    }
    let content: &[u8] = match content {
        Some(content) if !content.is_empty() => content,
        _ => return typed,
    };
    match kind {
        1 => content.try_into().ok().map(|bytes| f64::from(f32::from_le_bytes(bytes))),
        2 => content.try_into().ok().map(f64::from_le_bytes),
        3 => content.try_into().ok().map(|bytes| f64::from(i32::from_le_bytes(bytes))),
        9 => content.try_into().ok().map(|bytes| i64::from_le_bytes(bytes) as f64),
        _ => None,
    }
}

enum Field<'a> {
    Varint(u64),
    Eight([u8; 8]),
    Four([u8; 4]),
    Bytes(&'a [u8]),
}

/// Calls `take` for each field of a message; None when it is no message.
fn each_field<'a>(mut message: &'a [u8], mut take: impl FnMut(u64, Field<'a>)) -> Option<()> {
    while !message.is_empty() {
        let (key, rest) = varint(message)?;
        let (value, rest) = match key & 7 {
            0 => varint(rest).map(|(number, rest)| (Field::Varint(number), rest))?,
            1 => rest.split_first_chunk().map(|(bytes, rest)| (Field::Eight(*bytes), rest))?,
            5 => rest.split_first_chunk().map(|(bytes, rest)| (Field::Four(*bytes), rest))?,
            2 => {
                let (length, rest) = varint(rest)?;
                let (bytes, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Field::Bytes(bytes), rest)
            }
            _ => return None,
        };
        take(key >> 3, value);
        message = rest;
    }
    Some(())
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[place + 1..]));
        }
    }
    None
}
