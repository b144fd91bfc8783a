package store

import (
	"context"
	"database/sql"
	"fmt"
)

// mostFindings bounds what Check tells of one kind of damage.
const mostFindings = 20

// Check reads the whole database, and says in words what is wrong with it: nothing, as a rule. It takes its time, while
// others go on.
func (s *Store) Check(ctx context.Context) ([]string, error) {
	c := checker{}
	err := s.snapshot(ctx, func(t tx) error {
		c.t = t
		return c.run(ctx)
	})
	if err = s.translate(err); err != nil && c.said == nil {
		return nil, fmt.Errorf("checking the database: %w", err)
	} else if err != nil {
		c.said = append(c.said, fmt.Sprintf("The check could not be finished: %v.", err))
	}
	return c.said, nil
}

type checker struct {
	t     tx
	said  []string
	found int // by the check that runs
}

func (c *checker) run(ctx context.Context) error {
	for _, check := range []func(context.Context) error{c.pages, c.numbers, c.zones, c.checkpoints, c.deltas, c.streams, c.parts, c.states} {
		c.found = 0
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) say(format string, args ...any) {
	c.found++
	switch {
	case c.found < mostFindings:
		c.said = append(c.said, fmt.Sprintf(format, args...))
	case c.found == mostFindings:
		c.said = append(c.said, "There is more of this kind.")
	}
}

// pages has SQLite check its own structures. PostgreSQL has its page checksums for that.
func (c *checker) pages(ctx context.Context) error {
	if c.t.dialect != &embedded {
		return nil
	}
	return c.t.each(ctx, func(r *sql.Rows) error {
		var text string
		err := r.Scan(&text)
		if err == nil && text != "ok" {
			c.say("SQLite finds: %s.", text)
		}
		return err
	}, "PRAGMA integrity_check(20)")
}

// numbers compares the number of the last commit with those of the versions.
func (c *checker) numbers(ctx context.Context) error {
	var last, highest int64
	err := c.t.row(ctx, "SELECT last, (SELECT COALESCE(MAX(commit_no), 0) FROM versions) FROM log").Scan(&last, &highest)
	if err == nil && highest > last {
		c.say("A version has commit number %d, but the last commit is %d.", highest, last)
	}
	return err
}

// zones looks for versions that are missing, and for heads that are not the newest version.
func (c *checker) zones(ctx context.Context) error {
	return c.t.each(ctx, func(r *sql.Rows) error {
		var name string
		var head, serial, oldest, number, newest, lowest, newestSerial int64
		if err := r.Scan(&name, &head, &serial, &oldest, &number, &newest, &lowest, &newestSerial); err != nil {
			return err
		}
		switch {
		case newest != head:
			c.say("Zone %s: its newest version should be %d, but is %d.", name, head, newest)
		case number > 0 && number != newest-lowest+1:
			c.say("Zone %s: of versions %d to %d, %d are missing.", name, lowest, newest, newest-lowest+1-number)
		case lowest != oldest:
			c.say("Zone %s: its oldest version should be %d, but is %d.", name, oldest, lowest)
		case newestSerial != serial:
			c.say("Zone %s: version %d has serial number %d, and the zone %d.", name, head, newestSerial, serial)
		}
		return nil
	}, `SELECT z.name, z.head, z.serial, z.oldest, COUNT(v.number), COALESCE(MAX(v.number), 0), COALESCE(MIN(v.number), 0),
		COALESCE(MAX(CASE WHEN v.number = z.head THEN v.serial END), 0)
		FROM zones z LEFT JOIN versions v ON v.zone = z.id GROUP BY z.id, z.name, z.head, z.serial, z.oldest`)
}

// checkpoints looks whether the content of each zone can be made.
func (c *checker) checkpoints(ctx context.Context) error {
	err := c.t.each(ctx, func(r *sql.Rows) error {
		var name string
		var head, checkpoint, oldest int64
		var whole bool
		if err := r.Scan(&name, &head, &checkpoint, &oldest, &whole); err != nil {
			return err
		}
		switch {
		case checkpoint > 0 && !whole:
			c.say("Zone %s: the checkpoint of version %d is not there as a whole.", name, checkpoint)
		case checkpoint > head:
			c.say("Zone %s: the checkpoint is of version %d, but the newest is %d.", name, checkpoint, head)
		case head > checkpoint && oldest > checkpoint+1:
			c.say("Zone %s: the versions between the checkpoint of %d and %d are missing.", name, checkpoint, oldest)
		}
		return nil
	}, `SELECT z.name, z.head, z.checkpoint, z.oldest, COALESCE(t.complete, 0) = 1 AND t.zone = z.id AND t.number = z.checkpoint
		FROM zones z LEFT JOIN streams t ON t.id = z.stream`)
	if err != nil {
		return err
	}
	return c.each(ctx, "Version %d of zone %d refers to a large delta that is not there as a whole.",
		`SELECT v.number, v.zone FROM versions v LEFT JOIN streams t ON t.id = v.staged AND t.zone = v.zone AND t.number = v.number AND t.complete = 1
		WHERE v.staged <> 0 AND t.id IS NULL`)
}

// each says a sentence for each row of two numbers.
func (c *checker) each(ctx context.Context, sentence, query string) error {
	return c.t.each(ctx, func(r *sql.Rows) error {
		var a, b int64
		err := r.Scan(&a, &b)
		if err == nil {
			c.say(sentence, a, b)
		}
		return err
	}, query)
}

func (c *checker) deltas(ctx context.Context) error {
	return c.t.each(ctx, func(r *sql.Rows) error {
		var v Version
		sum, err := v.scanUnchecked(r, &v.Delta)
		if err == nil && sum != v.sum() {
			c.say("Version %d of zone %d does not match its checksum.", v.Number, v.Zone)
		}
		return err
	}, "SELECT "+versionColumns+" FROM versions v")
}

func (c *checker) streams(ctx context.Context) error {
	return c.each(ctx, "The checkpoint or delta of version %d of zone %d has lost some of its parts.",
		`SELECT t.number, t.zone FROM streams t LEFT JOIN parts p ON p.stream = t.id WHERE t.complete = 1
		GROUP BY t.id, t.number, t.zone, t.parts HAVING COUNT(p.part) <> t.parts`)
}

func (c *checker) parts(ctx context.Context) error {
	return c.t.each(ctx, func(r *sql.Rows) error {
		var stream, zone, number int64
		var part int
		var sum uint32
		var data []byte
		err := r.Scan(&stream, &part, &sum, &data, &zone, &number)
		if err == nil && sum != sumPart(stream, part, data) {
			c.say("Part %d of the checkpoint or delta of version %d of zone %d does not match its checksum.", part, number, zone)
		}
		return err
	}, "SELECT p.stream, p.part, p.sum, p.data, t.zone, t.number FROM parts p JOIN streams t ON t.id = p.stream")
}

func (c *checker) states(ctx context.Context) error {
	return c.t.each(ctx, func(r *sql.Rows) error {
		var z ZoneState
		var sum uint32
		err := r.Scan(&z.Zone, &z.What, &sum, &z.Data)
		if err == nil && sum != z.sum() {
			c.say("The state %q of zone %d does not match its checksum.", z.What, z.Zone)
		}
		return err
	}, "SELECT zone, what, sum, data FROM states")
}
