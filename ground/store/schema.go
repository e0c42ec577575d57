package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	"modernc.org/sqlite" // the driver "sqlite", too
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/fulmar-io/fulmar/ground"
)

// ErrVersion is wrapped by the error of OpenIndex when a later build wrote the index.
var ErrVersion = errors.New("store: index of a later version")

// migrations lead from one version of the schema to the next; the first makes it. Times are ns since 1970, as ground's doc.go
// says.
var migrations = []string{`
CREATE TABLE progress (next INTEGER NOT NULL);
INSERT INTO progress VALUES (1);
CREATE TABLE device (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
	records INTEGER NOT NULL DEFAULT 0, readings INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0);
CREATE TABLE boot (id INTEGER PRIMARY KEY, device INTEGER NOT NULL, boot BLOB NOT NULL, offset INTEGER NOT NULL, UNIQUE (device, boot));
CREATE TABLE layout (id INTEGER PRIMARY KEY, device INTEGER NOT NULL, hash INTEGER NOT NULL, name TEXT, kind INTEGER, binary BLOB,
	rows INTEGER NOT NULL DEFAULT 0, UNIQUE (device, hash));
CREATE TABLE frame (idx INTEGER PRIMARY KEY, device INTEGER NOT NULL, boot INTEGER NOT NULL, class INTEGER NOT NULL,
	first INTEGER NOT NULL, count INTEGER NOT NULL);
CREATE INDEX frame_by_stream ON frame (device, boot, class, first);
CREATE TABLE part (layout INTEGER NOT NULL, frame INTEGER NOT NULL, rows INTEGER NOT NULL, tmin INTEGER NOT NULL, tmax INTEGER NOT NULL,
	PRIMARY KEY (layout, tmax, frame)) WITHOUT ROWID;
CREATE TABLE undecoded (frame INTEGER PRIMARY KEY, device INTEGER NOT NULL);
CREATE TABLE event (device INTEGER NOT NULL, time INTEGER NOT NULL, severity INTEGER NOT NULL, component TEXT NOT NULL, text TEXT NOT NULL,
	boot BLOB NOT NULL, class INTEGER NOT NULL, seq INTEGER NOT NULL, frame INTEGER NOT NULL, PRIMARY KEY (device, boot, class, seq)) WITHOUT ROWID;
CREATE INDEX event_by_time ON event (device, time);
`, `
CREATE INDEX IF NOT EXISTS part_by_frame ON part (frame, tmin);
ALTER TABLE layout ADD COLUMN newest INTEGER NOT NULL DEFAULT 0;
ALTER TABLE layout ADD COLUMN newest_boot BLOB;
ALTER TABLE layout ADD COLUMN newest_mono INTEGER NOT NULL DEFAULT 0;
`}

// openDatabase opens the index file, makes it if it is missing, and sets a damaged one aside: all that is in it follows
// from the frames.
func openDatabase(path string) (db *sql.DB, rebuilt error, err error) {
	damage := takeSum(path)
	if damage != nil && !errors.Is(damage, errDecayed) {
		return nil, nil, damage
	}
	if damage == nil {
		db, err = prepareDatabase(path)
		if err == nil || errors.Is(err, ErrVersion) {
			return db, nil, err
		}
		damage = err
	}
	db, err = replaceDatabase(path, damage)
	return db, damage, err
}

// replaceDatabase sets a damaged index aside and makes an empty one.
func replaceDatabase(path string, damage error) (*sql.DB, error) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+suffix, path+suffix+".damaged"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("store: set aside a damaged index: %w", errors.Join(damage, err))
		}
	}
	return prepareDatabase(path)
}

// asked is the error of a query: of a damaged index it says so in ground's words.
func asked(err error) error {
	if isDamaged(err) {
		return fmt.Errorf("%w: %w", ground.ErrDamaged, err)
	}
	return err
}

// isDamaged reports whether SQLite says that its file is.
func isDamaged(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB)
}

// contradicts reports whether what is to be added to the index is not possible beside what is there.
func contradicts(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_CONSTRAINT
}

func prepareDatabase(path string) (*sql.DB, error) {
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(5000)", "temp_store(MEMORY)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("store: open index: %w", err)
	}
	if err := migrate(db); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open index %s: %w", path, err), db.Close())
	}
	return db, nil
}

func migrate(db *sql.DB) error {
	ctx := context.Background()
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("%w %d, this build knows %d; hint: use the build that wrote it, or rebuild the index with fulmar inspect --reindex",
			ErrVersion, version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, migrations[version]+fmt.Sprintf("PRAGMA user_version = %d;", version+1)); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	var next int64
	return db.QueryRowContext(ctx, "SELECT next FROM progress").Scan(&next)
}
