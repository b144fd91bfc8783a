package update

import (
	"errors"
	"fmt"

	"onoma/dns"
	"onoma/zone"
)

// Error is why a request is not carried out: the response code that says so to the
// client, and the reason for people.
type Error struct {
	Code dns.RCode
	EDE  dns.EDE
}

// Error returns the code and the reason.
func (e *Error) Error() string { return e.Code.String() + ": " + e.EDE.Text }

func refuse(code dns.RCode, ede dns.EDECode, format string, args ...any) *Error {
	return &Error{code, dns.EDE{Code: ede, Text: clip(fmt.Sprintf(format, args...))}}
}

// mostText is how long a reason may be, so that it fits the smallest response.
const mostText = 160

func clip(s string) string {
	if len(s) > mostText {
		return s[:mostText]
	}
	return s
}

func formErr(format string, args ...any) *Error {
	return refuse(dns.RCodeFormErr, dns.EDEOther, format, args...)
}

// What is said often is made once.
var (
	errDenied = refuse(dns.RCodeRefused, dns.EDEProhibited, "updates of this zone are not for this client")
	errClosed = refuse(dns.RCodeRefused, dns.EDEProhibited, "this zone is not changed by updates")
	errBusy   = refuse(dns.RCodeServFail, dns.EDENotReady, "too many updates wait already, try again later")
	errUnread = refuse(dns.RCodeFormErr, dns.EDEOther, "a record cannot be read")
)

// answerTo returns the response to a change that the pipeline has refused.
func answerTo(err error) *Error {
	var own *Error
	var gate *zone.Refusal
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &gate):
		return refuse(dns.RCodeRefused, dns.EDEProhibited, "%s: %s", gate.Rule, gate.Reason)
	case errors.Is(err, zone.ErrUnknown):
		return refuse(dns.RCodeNotAuth, dns.EDENotAuthoritative, "%v", zone.ErrUnknown)
	case errors.Is(err, zone.ErrReadOnly):
		return errClosed
	case errors.Is(err, zone.ErrBusy):
		return errBusy
	case errors.Is(err, zone.ErrNoVersion):
		return refuse(dns.RCodeServFail, dns.EDENotReady, "the zone is not loaded")
	}
	// What else can go wrong, such as a full disk, is for the log, not for clients.
	return refuse(dns.RCodeServFail, dns.EDEOther, "the change could not be stored")
}
