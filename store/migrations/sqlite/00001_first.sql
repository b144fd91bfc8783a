-- +goose Up
-- 'onom': by this a file is known to be ours.
PRAGMA application_id = 1869508461;

-- The number of the last commit. Who has locked this row is the one that commits.
CREATE TABLE log (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    last INTEGER NOT NULL
);
INSERT INTO log (one, last) VALUES (1, 0);

-- pending: octets of the deltas after the checkpoint. stream: that of the checkpoint, 0: none.
CREATE TABLE zones (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    view       TEXT NOT NULL,
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    head       INTEGER NOT NULL DEFAULT 0,
    serial     INTEGER NOT NULL DEFAULT 0,
    checkpoint INTEGER NOT NULL DEFAULT 0,
    oldest     INTEGER NOT NULL DEFAULT 0,
    commit_no  INTEGER NOT NULL DEFAULT 0,
    stream     INTEGER NOT NULL DEFAULT 0,
    pending    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (view, name)
);

-- Zones that are gone, and whose versions and streams are being deleted little by little.
CREATE TABLE removed (
    zone INTEGER PRIMARY KEY
);

CREATE TABLE versions (
    zone      INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    commit_no INTEGER NOT NULL,
    serial    INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    door      TEXT NOT NULL,
    author    TEXT NOT NULL,
    comment   TEXT NOT NULL,
    removed   INTEGER NOT NULL,
    added     INTEGER NOT NULL,
    octets    INTEGER NOT NULL,
    staged    INTEGER NOT NULL,
    parts     INTEGER NOT NULL,
    sum       INTEGER NOT NULL,
    delta     BLOB NOT NULL,
    PRIMARY KEY (zone, number)
) WITHOUT ROWID;
CREATE INDEX versions_commit ON versions (commit_no);

-- Content too large for one row: large deltas, and checkpoints. zone 0: nothing refers to it yet, or any more.
CREATE TABLE streams (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    zone       INTEGER NOT NULL DEFAULT 0,
    number     INTEGER NOT NULL DEFAULT 0,
    checkpoint INTEGER NOT NULL DEFAULT 0,
    complete   INTEGER NOT NULL DEFAULT 0,
    parts      INTEGER NOT NULL DEFAULT 0,
    octets     INTEGER NOT NULL DEFAULT 0,
    made       INTEGER NOT NULL
);
CREATE INDEX streams_zone ON streams (zone, number);

CREATE TABLE parts (
    stream INTEGER NOT NULL,
    part   INTEGER NOT NULL,
    sum    INTEGER NOT NULL,
    data   BLOB NOT NULL,
    PRIMARY KEY (stream, part)
);

CREATE TABLE states (
    zone INTEGER NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    what TEXT NOT NULL,
    sum  INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (what, zone)
) WITHOUT ROWID;
CREATE INDEX states_zone ON states (zone);

-- until: milliseconds since 1970 by the database's clock.
CREATE TABLE leases (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  INTEGER NOT NULL
);
