CREATE TABLE models (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    model TEXT NOT NULL,
    recipe TEXT NOT NULL,
    data_hash TEXT NOT NULL,
    code_version TEXT NOT NULL,
    parent TEXT,
    bytes_hash TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    stage TEXT NOT NULL CHECK (stage IN ('candidate', 'shadow', 'champion', 'retired')),
    stored_at TEXT NOT NULL
) STRICT;

-- One model a subject decides.
CREATE UNIQUE INDEX one_champion ON models (subject) WHERE stage = 'champion';

CREATE TABLE metrics (
    id TEXT NOT NULL REFERENCES models (id),
    horizon INTEGER NOT NULL,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (id, horizon, name)
) STRICT;

CREATE TABLE changes (
    number INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    id TEXT NOT NULL REFERENCES models (id),
    from_stage TEXT,
    to_stage TEXT NOT NULL,
    because TEXT NOT NULL
) STRICT;
