package feeds

import "time"

// state is what is known of a file.
type state struct {
	ETag     string    `json:"etag,omitempty"`
	Modified string    `json:"modified,omitempty"`
	Size     int64     `json:"size"`
	Sum      string    `json:"sha256"`
	Checked  time.Time `json:"checked"` // when the server was last heard of it

	Failures int       `json:"-"` // in succession
	Next     time.Time `json:"-"` // after a failure: when to try again
}

// Bounds of the time between two tries of a file that cannot be had.
const (
	firstRetry = time.Minute
	lastRetry  = 2 * time.Hour
)

// due returns when the file is to be asked for.
func (s *state) due(every time.Duration) time.Time {
	if s.Failures > 0 {
		return s.Next
	}
	return s.Checked.Add(every)
}

// unchanged notes that the server has been heard.
func (s state) unchanged(now time.Time) state {
	s.Checked, s.Failures, s.Next = now, 0, time.Time{}
	return s
}

// failed puts the next try off, longer each time, and by a chance of up to a tenth (of 1000) so that many servers do not come at once.
func (s *state) failed(now time.Time, every time.Duration, chance int64) {
	wait := min(firstRetry<<min(s.Failures, 10), lastRetry, max(every, firstRetry))
	s.Failures++
	s.Next = now.Add(wait + wait*time.Duration(chance)/10_000)
}
