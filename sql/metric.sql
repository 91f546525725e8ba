-- What runs log. Ticks, buckets and points are explained in migrations/0001_initial.sql.
-- The inserts of many ticks or points at once are made in src/metric/append.rs: only the number of rows differs.

-- name: run_of_lease
-- The fence of a job's points: no row once the attempt is not the one at work.
SELECT run_id FROM job WHERE id = :job AND attempt = :attempt AND state = 'running';

-- name: find_stream
SELECT id, origin_ms, n, step_first, step_last, step_stride, visible_to_step
FROM stream WHERE run_id = :run AND attempt = :attempt;

-- name: add_stream
-- step_last of an empty stream is where steps that are not given begin.
INSERT INTO stream (run_id, attempt, origin_ms, step_last)
SELECT id, :attempt, :origin_ms, :step_last FROM run WHERE id = :run;

-- name: extend_stream
UPDATE stream SET n = :n, step_first = :step_first, step_last = :step_last, step_stride = :step_stride WHERE id = :id;

-- name: find_metric
SELECT id FROM metric WHERE name = :name;

-- name: add_metric
INSERT INTO metric (name) VALUES (:name);

-- name: find_series
SELECT id, kind FROM series WHERE run_id = :run AND metric_id = :metric;

-- name: add_series
INSERT INTO series (run_id, metric_id, kind) VALUES (:run, :metric, :kind);

-- name: extend_series
-- Adds a batch to the summary, whatever others added since. `first`, `last`, `last_step` are of points that are numbers.
-- A sum of both infinities stays at the first one: the column holds no NaN.
UPDATE series
SET n = n + :n, nan = nan + :nan,
    first = coalesce(first, :first), last = coalesce(:last, last), last_step = coalesce(:last_step, last_step),
    min = coalesce(min(min, :min), min, :min), max = coalesce(max(max, :max), max, :max),
    sum = coalesce(sum + :sum, sum)
WHERE id = :id AND run_id = :run;

-- name: find_bucket
SELECT id FROM bucket WHERE series_id = :series AND stream_id = :stream AND page = :page;

-- name: add_bucket
INSERT INTO bucket (series_id, stream_id, page, n, min, max, sum)
VALUES (:series, :stream, :page, :n, :min, :max, :sum);

-- name: extend_bucket
UPDATE bucket
SET n = n + :n, min = coalesce(min(min, :min), min, :min), max = coalesce(max(max, :max), max, :max),
    sum = coalesce(sum + :sum, sum)
WHERE id = :id AND series_id = :series AND stream_id = :stream AND page = :page;

-- name: put_vector
INSERT OR REPLACE INTO vector_point (series_id, stream_id, seq, value) VALUES (:series, :stream, :seq, :value);

-- name: put_text
INSERT OR REPLACE INTO text_point (series_id, stream_id, seq, value) VALUES (:series, :stream, :seq, :value);

-- name: cut_streams
-- What attempts before :attempt logged stays visible up to a step.
UPDATE stream SET visible_to_step = min(coalesce(visible_to_step, :step), :step)
WHERE run_id = :run AND attempt < :attempt AND (visible_to_step IS NULL OR visible_to_step > :step);

-- name: set_series
UPDATE series
SET n = :n, nan = :nan, first = :first, last = :last, last_step = :last_step, min = :min, max = :max, sum = :sum
WHERE id = :id;

-- name: list_streams
SELECT id, attempt, n, step_first, step_stride, visible_to_step FROM stream WHERE run_id = :run ORDER BY attempt;

-- name: last_bucket
SELECT max(id) FROM bucket;

-- name: points_of_bucket
-- Their places in it, and their values.
SELECT id - :bucket * 1024, value FROM point WHERE id BETWEEN :bucket * 1024 AND :bucket * 1024 + 1023;

-- name: take_points
DELETE FROM point WHERE id BETWEEN :bucket * 1024 AND :bucket * 1024 + 1023;

-- name: move_bucket
UPDATE bucket SET id = :after WHERE id = :before;

-- name: list_buckets
SELECT id, page, n, min, max, sum FROM bucket WHERE series_id = :series AND stream_id = :stream ORDER BY page;

-- name: points_between
SELECT id, value FROM point WHERE id BETWEEN :from AND :to ORDER BY id;

-- name: values_from
-- Without an end, which SQLite would compare each id with: whoever reads knows how many there are, or looks at the id.
SELECT value, id FROM point WHERE id >= :from ORDER BY id;

-- name: ticks_between
SELECT step, elapsed_ms FROM tick WHERE stream_id = :stream AND seq BETWEEN :from AND :to ORDER BY seq;

-- name: vector_points
SELECT seq, value FROM vector_point WHERE series_id = :series AND stream_id = :stream ORDER BY seq;

-- name: text_points
SELECT seq, value FROM text_point WHERE series_id = :series AND stream_id = :stream ORDER BY seq;

-- name: series_of_run
SELECT s.id, m.name, s.kind, s.n, s.nan, s.first, s.last, s.last_step, s.min, s.max, s.sum
FROM series s JOIN metric m ON m.id = s.metric_id
WHERE s.run_id = :run ORDER BY s.id;

-- name: series_by_name
SELECT s.id, m.name, s.kind, s.n, s.nan, s.first, s.last, s.last_step, s.min, s.max, s.sum
FROM metric m JOIN series s ON s.run_id = :run AND s.metric_id = m.id
WHERE m.name = :name;

-- name: origin_of_run
SELECT e.kind, r.state, r.experiment_id, r.config_id
FROM run r JOIN experiment e ON e.id = r.experiment_id
WHERE r.id = :run;

-- name: error_of_run
SELECT error FROM run WHERE id = :run AND state = 'failed';

-- name: add_to_tail
INSERT INTO tail (run_id, attempt, step, at_ms, clock, stats)
VALUES (:run, :attempt, :step, :at_ms, :clock, :stats);

-- name: has_tail
SELECT EXISTS (SELECT 1 FROM tail);

-- name: list_tails
-- The streams that have some, of one run or of all.
SELECT DISTINCT run_id, attempt FROM tail WHERE :run IS NULL OR run_id = :run ORDER BY run_id, attempt;

-- name: read_tail
SELECT step, at_ms, clock, stats FROM tail WHERE run_id = :run AND attempt = :attempt ORDER BY id;

-- name: cut_tail
DELETE FROM tail WHERE run_id = :run AND attempt = :attempt;
