-- Bytes by content, and the named artifacts that point to them.

-- name: find_blob
SELECT id FROM blob WHERE hash = :hash;

-- name: add_blob
INSERT INTO blob (hash, size_bytes, codec) VALUES (:hash, :size_bytes, :codec);

-- name: add_chunk
INSERT INTO blob_chunk (blob_id, seq, bytes) VALUES (:blob_id, :seq, :bytes);

-- name: show_blob
SELECT hash, size_bytes, codec FROM blob WHERE id = :id;

-- name: list_chunks
SELECT bytes FROM blob_chunk WHERE blob_id = :blob_id ORDER BY seq;

-- name: count_unused_blobs
-- What no artifact and no experiment points to.
SELECT count(*), coalesce(sum(b.size_bytes), 0) FROM blob b
WHERE NOT EXISTS (SELECT 1 FROM artifact a WHERE a.blob_id = b.id)
  AND NOT EXISTS (SELECT 1 FROM experiment e WHERE e.git_diff_blob = b.id)
  AND NOT EXISTS (SELECT 1 FROM experiment e WHERE e.script_blob = b.id);

-- name: delete_unused_blobs
DELETE FROM blob
WHERE NOT EXISTS (SELECT 1 FROM artifact a WHERE a.blob_id = blob.id)
  AND NOT EXISTS (SELECT 1 FROM experiment e WHERE e.git_diff_blob = blob.id)
  AND NOT EXISTS (SELECT 1 FROM experiment e WHERE e.script_blob = blob.id);
