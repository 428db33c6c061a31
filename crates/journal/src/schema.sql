-- The run file, version 2. One session a start of autoscale, one cycle a turn.

CREATE TABLE sessions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL,          -- live, simulated
    started_at TEXT    NOT NULL,          -- RFC 3339
    ended_at   TEXT,                      -- NULL until closed in good order
    version    TEXT    NOT NULL,          -- of autoscale
    seed       TEXT    NOT NULL,          -- decimal; SQLite's integers are signed
    config     TEXT    NOT NULL,          -- JSON
    dropped    INTEGER NOT NULL DEFAULT 0,-- cycles that could not be recorded
    closing    TEXT                       -- JSON, since version 2: the ledger after the last request
) STRICT;

CREATE TABLE cycles (
    id      INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES sessions (id),
    seq     INTEGER NOT NULL,             -- counts every turn from 1; a missing one was dropped
    at_ms   INTEGER NOT NULL,             -- Unix time
    desired INTEGER,                      -- NULL when the turn was blind
    ready   INTEGER,
    cpu     REAL,                         -- mean percent of the measured workers
    rate    REAL,                         -- requests a second
    cycle   TEXT    NOT NULL,             -- the whole turn as JSON: this is what replays
    UNIQUE (session, seq)
) STRICT;
