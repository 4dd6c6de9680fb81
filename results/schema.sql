-- Everything the program ever measured. Rows are added, never changed (but a run's end), so that
-- a number somebody quoted can always be found again. Units stand in the names of the columns;
-- what a word means is in engine/terms.h.
--
-- A section below each marker takes a file from the version before it to that version, in one
-- transaction. A published section is never edited: append the next one.

-- migration 1

-- Stable facts of a computer. What changes from day to day (driver, load) is in run.environment.
CREATE TABLE machine (
    id INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    facts TEXT NOT NULL CHECK (json_valid(facts)),
    UNIQUE (fingerprint, facts)
) STRICT;

-- A build. identity is what decides whether two builds may share results.
CREATE TABLE software (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL,
    version TEXT NOT NULL,
    "commit" TEXT NOT NULL,
    dirty INTEGER NOT NULL CHECK (dirty IN (0, 1)),
    binary_hash TEXT NOT NULL,
    facts TEXT NOT NULL CHECK (json_valid(facts)),
    UNIQUE (identity, version, "commit", dirty, binary_hash, facts)
) STRICT;

CREATE TABLE dataset (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    identity TEXT NOT NULL, -- of its content; '' where it was never opened
    elem TEXT NOT NULL,
    UNIQUE (name, identity, elem)
) STRICT;

CREATE TABLE experiment (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    hash TEXT NOT NULL, -- of text
    text TEXT NOT NULL, -- the YAML as it was
    UNIQUE (hash, name, path)
) STRICT;

-- One call of `ivfbench run` for one spec. ended and exit stay NULL where it was killed.
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    experiment INTEGER NOT NULL REFERENCES experiment,
    machine INTEGER NOT NULL REFERENCES machine,
    software INTEGER NOT NULL REFERENCES software,
    argv TEXT NOT NULL CHECK (json_valid(argv)),
    overrides TEXT NOT NULL CHECK (json_valid(overrides)), -- the values of --set
    environment TEXT NOT NULL CHECK (json_valid(environment)),
    started_unix_ns INTEGER NOT NULL,
    ended_unix_ns INTEGER,
    exit INTEGER
) STRICT;

-- One attempt at one combination of parameters. NULL: does not apply.
CREATE TABLE trial (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run,
    dataset INTEGER NOT NULL REFERENCES dataset,
    identity TEXT NOT NULL, -- hash of params
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    group_identity TEXT, -- of the index it searched
    params TEXT NOT NULL CHECK (json_valid(params)), -- all that changes the number
    n INTEGER,
    nq INTEGER,
    d INTEGER,
    "index" TEXT, -- the factory key
    backend TEXT, -- that ran
    device TEXT,
    storage TEXT,
    gpus INTEGER,
    replicas INTEGER,
    float16 INTEGER,
    precomputed_tables INTEGER,
    threads INTEGER,
    seed INTEGER,
    batch INTEGER,
    nlist INTEGER,
    k INTEGER,
    nprobe INTEGER,
    status TEXT NOT NULL
        CHECK (status IN ('ok', 'failed', 'skipped', 'timeout', 'oom', 'interrupted')),
    reason TEXT,
    flags TEXT, -- words with commas between: suspect, noisy
    started_unix_ns INTEGER NOT NULL,
    ended_unix_ns INTEGER NOT NULL,
    UNIQUE (identity, attempt)
) STRICT;
CREATE INDEX trial_of_run ON trial (run);

-- Finished trials that a run found and did not measure again: they are part of its result.
CREATE TABLE reuse (
    run INTEGER NOT NULL REFERENCES run,
    trial INTEGER NOT NULL REFERENCES trial,
    PRIMARY KEY (run, trial)
) STRICT, WITHOUT ROWID;

CREATE TABLE phase (
    id INTEGER PRIMARY KEY,
    trial INTEGER NOT NULL REFERENCES trial,
    name TEXT NOT NULL, -- train, add, search, ...
    wall_ns INTEGER NOT NULL,
    device_ns INTEGER,
    peak_host_bytes INTEGER,
    peak_device_bytes INTEGER,
    cached INTEGER NOT NULL CHECK (cached IN (0, 1)) -- read from a file, not computed
) STRICT;
CREATE INDEX phase_of_trial ON phase (trial);

-- Raw times. stage 'search': one pass over all nq queries.
CREATE TABLE sample (
    trial INTEGER NOT NULL REFERENCES trial,
    stage TEXT NOT NULL,
    repeat INTEGER NOT NULL,
    wall_ns INTEGER NOT NULL,
    device_ns INTEGER,
    PRIMARY KEY (trial, stage, repeat)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric (
    trial INTEGER NOT NULL REFERENCES trial,
    name TEXT NOT NULL, -- recall_1, recall_10, ..., intersection_10
    value REAL,         -- NULL: not a number
    PRIMARY KEY (trial, name)
) STRICT, WITHOUT ROWID;

-- Per query how many of the true answers were found: paired tests need them.
CREATE TABLE hits (
    trial INTEGER NOT NULL REFERENCES trial,
    name TEXT NOT NULL,
    nq INTEGER NOT NULL,
    counts BLOB NOT NULL CHECK (length(counts) = 2 * nq), -- little-endian 16-bit
    PRIMARY KEY (trial, name)
) STRICT, WITHOUT ROWID;

-- migration 2

-- What the driver said of the GPU right before and right after the timed passes of a search: the
-- lower clocks, the higher power and temperature, the events of both. NULL: it did not say.
CREATE TABLE clocks (
    trial INTEGER PRIMARY KEY REFERENCES trial,
    sm_mhz INTEGER,
    memory_mhz INTEGER,
    power_mw INTEGER,
    temperature_c INTEGER,
    events TEXT -- what held the clocks back, words with commas between; 'none'
) STRICT;
