package files

import (
	"time"

	"onoma/zone"
)

// Status is how a zone stands with its file.
type Status string

// The statuses.
const (
	Unread   Status = "unread"   // nobody has looked at the file yet
	Good     Status = "good"     // the zone is, or was at first, what the file says
	Broken   Status = "broken"   // the file cannot be read, or is no zone
	Refused  Status = "refused"  // it is one, but the pipeline does not take it
	Conflict Status = "conflict" // it has changed, and so has the zone in other ways
)

// State is how a zone stands with its file.
type State struct {
	Zone   zone.ID
	Path   string
	Mode   Mode
	Status Status

	Version uint64    // that the file became when it was taken last; 0: never
	Serial  uint32    // of that version
	Read    time.Time // when the file was read last, good or bad; zero: not since the start
	Changed bool      // that reading made a new version

	// Problems are why the status is not Good: each mistake as file:line:column: what,
	// and what was expected. Notes are what else there is to say, such as warnings.
	Problems []string
	Notes    []string
	Dropped  int // problems and notes beyond maxTold
}

// maxTold bounds how many problems, and how many notes, are kept of a zone.
const maxTold = 1000

// add appends to a list what there is room for.
func (s *State) add(list *[]string, text string) {
	if len(*list) >= maxTold {
		s.Dropped++
		return
	}
	*list = append(*list, text)
}

func (s *State) problem(text string) { s.add(&s.Problems, text) }
func (s *State) note(text string)    { s.add(&s.Notes, text) }
