//! Bytes by content: hashed and compressed before a transaction, stored once inside it.
//!
//! A blob is found by its BLAKE3 hash and lies in the file as chunks of at most 1 MiB. Whether compression helps is
//! tried on a sample, so that archives and weights are not compressed for nothing. Nothing here deletes a blob by
//! itself: [`collect_garbage`] removes those that no row points to, when it is asked to.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::id::BlobId;
use crate::sql::named;
use crate::store::{ReadTx, WriteTx, named_params};

const FIND_BLOB: &str = named(include_str!("../sql/artifact.sql"), "find_blob");
const ADD_BLOB: &str = named(include_str!("../sql/artifact.sql"), "add_blob");
const ADD_CHUNK: &str = named(include_str!("../sql/artifact.sql"), "add_chunk");
const SHOW_BLOB: &str = named(include_str!("../sql/artifact.sql"), "show_blob");
const LIST_CHUNKS: &str = named(include_str!("../sql/artifact.sql"), "list_chunks");
const COUNT_UNUSED: &str = named(include_str!("../sql/artifact.sql"), "count_unused_blobs");
const DELETE_UNUSED: &str = named(include_str!("../sql/artifact.sql"), "delete_unused_blobs");

/// The largest piece of a blob in one row.
pub const CHUNK_BYTES: usize = 1 << 20;

/// What is larger stays outside the file, as a path and a hash, unless an experiment says otherwise.
pub const INSIDE_MAX_BYTES: u64 = 64 << 20;

/// How much of a blob is compressed to see whether that helps.
const SAMPLE_BYTES: usize = 64 << 10;

const ZSTD_LEVEL: i32 = 3;

/// Bytes ready to be stored: hashed, and compressed where that helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// BLAKE3 of the content, hex.
    pub hash: String,
    /// Of the content, not of what is stored.
    pub size_bytes: u64,
    pub(crate) place: Place,
}

/// Where prepared bytes will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Inside { zstd: bool, chunks: Vec<Vec<u8>> },
    Outside(PathBuf),
}

impl Prepared {
    /// Prepares bytes that will lie in the file, however many they are.
    pub fn from_bytes(bytes: &[u8]) -> Prepared {
        let zstd = compresses(bytes);
        Prepared {
            hash: blake3::hash(bytes).to_hex().to_string(),
            size_bytes: bytes.len() as u64,
            place: Place::Inside {
                zstd,
                chunks: bytes.chunks(CHUNK_BYTES).map(|chunk| pack(chunk, zstd)).collect(),
            },
        }
    }

    /// Prepares all that a reader gives, holding one chunk and what is kept of the others in memory.
    ///
    /// # Errors
    /// The reader's.
    pub fn from_reader(mut reader: impl Read) -> std::io::Result<Prepared> {
        let mut hasher = blake3::Hasher::new();
        let (mut chunks, mut zstd, mut size_bytes) = (Vec::new(), false, 0);
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        loop {
            chunk.clear();
            (&mut reader).take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
            if chunk.is_empty() {
                break;
            }
            if chunks.is_empty() {
                zstd = compresses(&chunk);
            }
            hasher.update(&chunk);
            size_bytes += chunk.len() as u64;
            chunks.push(pack(&chunk, zstd));
        }
        Ok(Prepared {
            hash: hasher.finalize().to_hex().to_string(),
            size_bytes,
            place: Place::Inside { zstd, chunks },
        })
    }

    /// Prepares a file. One larger than `inside_max_bytes` will stay where it is: only its absolute path, size and hash
    /// go into the file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Invalid`] for what is not a regular file.
    pub fn from_file(path: &Path, inside_max_bytes: u64) -> Result<Prepared> {
        let io = |error| Error::io(path, error);
        let metadata = std::fs::metadata(path).map_err(io)?;
        if !metadata.is_file() {
            return Err(Error::invalid(path.display().to_string(), "is not a regular file"));
        }
        let file = File::open(path).map_err(io)?;
        if metadata.len() <= inside_max_bytes {
            // A file that is being written may grow meanwhile: what was measured is what is kept.
            return Prepared::from_reader(file.take(metadata.len())).map_err(io);
        }
        let (hash, size_bytes) = hash_of(file).map_err(io)?;
        let place = Place::Outside(std::path::absolute(path).map_err(io)?);
        Ok(Prepared { hash, size_bytes, place })
    }

    /// Returns where the bytes stay when they do not go into the file.
    pub fn outside(&self) -> Option<&Path> {
        match &self.place {
            Place::Outside(path) => Some(path),
            Place::Inside { .. } => None,
        }
    }
}

/// Stores prepared bytes, once. Returns `None` when they stay outside.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn add(tx: &WriteTx, prepared: &Prepared) -> Result<Option<BlobId>> {
    let Place::Inside { zstd, chunks } = &prepared.place else { return Ok(None) };
    let hash = &prepared.hash;
    if let Some(id) = tx.maybe(FIND_BLOB, named_params! {":hash": hash}, |row| row.get(0))? {
        return Ok(Some(id));
    }
    let size_bytes = i64::try_from(prepared.size_bytes).unwrap_or(i64::MAX);
    let codec = if *zstd { "zstd" } else { "raw" };
    let id = tx.insert(
        ADD_BLOB,
        named_params! {":hash": hash, ":size_bytes": size_bytes, ":codec": codec},
    )?;
    for (seq, bytes) in chunks.iter().enumerate() {
        tx.run(
            ADD_CHUNK,
            named_params! {":blob_id": id, ":seq": i64::try_from(seq).unwrap_or(i64::MAX), ":bytes": bytes},
        )?;
    }
    Ok(Some(BlobId(id)))
}

/// Writes a blob's content to `out`, a chunk at a time; returns its size [bytes].
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Failed`] when the content is not what its hash says; [`Error::Io`] of `out`.
pub fn read(tx: &ReadTx, id: BlobId, out: &mut impl Write) -> Result<u64> {
    let (hash, size, codec) = tx
        .maybe(SHOW_BLOB, named_params! {":id": id}, |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })?
        .ok_or_else(|| Error::not_found("blob", id))?;
    let damaged =
        || Error::Failed(format!("blob {hash} is damaged: its bytes do not match its hash"));
    let mut hasher = blake3::Hasher::new();
    let mut failure = None;
    tx.each(LIST_CHUNKS, named_params! {":blob_id": id}, |row| {
        if failure.is_some() {
            return Ok(());
        }
        let stored = row.get_ref(0)?.as_blob()?;
        let written = unpack(stored, codec == "zstd").and_then(|bytes| {
            hasher.update(&bytes);
            out.write_all(&bytes)
        });
        failure = written.err();
        Ok(())
    })?;
    match failure {
        Some(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(damaged()),
        Some(error) => return Err(Error::io("output", error)),
        None => {}
    }
    if hasher.finalize().to_hex().as_str() != hash || i64::try_from(hasher.count()) != Ok(size) {
        return Err(damaged());
    }
    Ok(hasher.count())
}

/// Returns a blob's content.
///
/// # Errors
/// As [`read`].
pub fn bytes(tx: &ReadTx, id: BlobId) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read(tx, id, &mut bytes)?;
    Ok(bytes)
}

/// What [`collect_garbage`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// How many blobs.
    pub blobs: i64,
    /// Their content's size, before compression.
    pub bytes: i64,
}

/// Removes the blobs nothing points to.
///
/// # Errors
/// [`Error::Sqlite`].
pub fn collect_garbage(tx: &WriteTx) -> Result<Freed> {
    let freed =
        tx.one(COUNT_UNUSED, [], |row| Ok(Freed { blobs: row.get(0)?, bytes: row.get(1)? }))?;
    tx.run(DELETE_UNUSED, [])?;
    Ok(freed)
}

/// Returns the BLAKE3 hash (hex) and the number of bytes a reader gives.
pub(crate) fn hash_of(mut reader: impl Read) -> std::io::Result<(String, u64)> {
    let mut hasher = blake3::Hasher::new();
    let size = std::io::copy(&mut reader, &mut hasher)?;
    Ok((hasher.finalize().to_hex().to_string(), size))
}

fn compresses(bytes: &[u8]) -> bool {
    // From the middle: heads of files are often more regular than the rest.
    let start = bytes.len().saturating_sub(SAMPLE_BYTES) / 2;
    let sample = &bytes[start..(start + SAMPLE_BYTES).min(bytes.len())];
    sample.len() >= 128
        && zstd::bulk::compress(sample, 1).is_ok_and(|small| small.len() < sample.len() / 10 * 9)
}

fn pack(chunk: &[u8], zstd: bool) -> Vec<u8> {
    if !zstd {
        return chunk.to_vec();
    }
    zstd::bulk::compress(chunk, ZSTD_LEVEL).expect("the buffer has the size of zstd's own bound")
}

/// A chunk never holds more than [`CHUNK_BYTES`], so a hostile one cannot fill the memory.
fn unpack(stored: &[u8], zstd: bool) -> std::io::Result<std::borrow::Cow<'_, [u8]>> {
    if !zstd {
        return Ok(stored.into());
    }
    zstd::bulk::decompress(stored, CHUNK_BYTES)
        .map(Into::into)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Open, Store};

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("x.db"), Open::Create).unwrap();
        (folder, store)
    }

    fn noise(n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn bytes_come_back_as_they_went_in() {
        let (_folder, mut store) = store();
        for (content, is_zstd) in [
            (Vec::new(), false),
            (b"short".to_vec(), false),
            ("text ".repeat(600_000).into_bytes(), true),
            (noise(2 * CHUNK_BYTES + 7), false),
        ] {
            let prepared = Prepared::from_bytes(&content);
            assert_eq!(prepared, Prepared::from_reader(content.as_slice()).unwrap());
            let Place::Inside { zstd, .. } = &prepared.place else { panic!("outside") };
            assert_eq!(*zstd, is_zstd);
            let id = store.write(|tx| add(tx, &prepared)).unwrap().unwrap();
            assert_eq!(store.read(|tx| bytes(tx, id)).unwrap(), content);
        }
    }

    #[test]
    fn the_same_bytes_are_stored_once_and_go_when_unused() {
        let (_folder, mut store) = store();
        let prepared = Prepared::from_bytes(&noise(5000));
        let first = store.write(|tx| add(tx, &prepared)).unwrap();
        assert_eq!(store.write(|tx| add(tx, &prepared)).unwrap(), first);
        let freed = store.write(collect_garbage).unwrap();
        assert_eq!(freed, Freed { blobs: 1, bytes: 5000 });
        let left: i64 =
            store.read(|tx| tx.one("SELECT count(*) FROM blob_chunk", [], |r| r.get(0))).unwrap();
        assert_eq!(left, 0);
    }

    #[test]
    fn damage_is_found() {
        let (_folder, mut store) = store();
        let id = store.write(|tx| add(tx, &Prepared::from_bytes(&noise(5000)))).unwrap().unwrap();
        store.write(|tx| tx.run("UPDATE blob_chunk SET bytes = zeroblob(5000)", [])).unwrap();
        assert!(matches!(store.read(|tx| bytes(tx, id)), Err(Error::Failed(_))));
    }

    #[test]
    fn a_large_file_stays_outside() {
        let (folder, mut store) = store();
        let path = folder.path().join("big");
        std::fs::write(&path, noise(5000)).unwrap();
        let outside = Prepared::from_file(&path, 4999).unwrap();
        assert_eq!(outside.outside(), Some(path.as_path()));
        assert_eq!(outside.hash, Prepared::from_file(&path, 5000).unwrap().hash);
        assert_eq!(store.write(|tx| add(tx, &outside)).unwrap(), None);
    }
}
