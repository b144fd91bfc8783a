package authority

import (
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/transport/cookie"
	"onoma/transport/rrl"
)

// Options say how a Server behaves towards everybody. The zero Options are good.
type Options struct {
	// View is what those are told who decide about notices and updates: which of
	// several servers this is.
	View string
	// MaxUDP is the most octets of a response over UDP, however much more the
	// client can take, and what it is told to send at most. 0 means 1232, which
	// no path fragments (RFC 9715 §3.2); less than 512 means 512.
	MaxUDP uint16
	// NSID is this server's identifier, told to who asks for it (RFC 5001);
	// empty: nobody is told. At most 128 octets of it are.
	NSID []byte
	// Version is the answer to version.bind and version.server, and Hostname
	// that to hostname.bind and id.server (RFC 4892), in class CH. Empty: refused.
	Version  string
	Hostname string

	// Cookies makes and checks DNS cookies (RFC 7873, RFC 9018); nil: COOKIE is
	// an option like any unknown one.
	Cookies *cookie.Jar
	// RequireCookies answers a client over UDP that knows cookies and sends none
	// of ours by BADCOOKIE, with one.
	RequireCookies bool
	// Limiter limits answers; nil: there is no limit.
	Limiter *rrl.Limiter
	// Keys are those that queries may be signed with (RFC 8945); nil: none.
	Keys *Keys
	// Transfers says who gets whole zones; the zero one: nobody.
	Transfers TransferOptions
	// Updates takes requests to change zones (RFC 2136); nil: NOTIMP.
	Updates Updates
	// Notified is told of NOTIFYs (RFC 1996), and says what becomes of each. Many
	// goroutines call it, and it must be quick. nil: no zone has a primary.
	Notified func(Notice) NoticeVerdict
	// ChildNotified is told of NOTIFYs for CDS and CSYNC, of which children of our zones
	// tell their parent (RFC 9859), as Notified is of others. nil: NOTIMP.
	ChildNotified func(Notice) NoticeVerdict
	// Expires says how long a zone may still be served that a primary gives, for
	// the EXPIRE option (RFC 7314); ok is false for others. nil: all are others.
	Expires func(view string, zone dns.Name) (left time.Duration, ok bool)
	// SignedUntil says when the first of the signatures in what is served of a zone
	// expires, for the EXPIRE option: no secondary shall serve it longer. ok is
	// false for zones that are not signed here. nil: none is.
	SignedUntil func(view string, zone dns.Name) (until time.Time, ok bool)

	// ReportAgent is the domain that resolvers report errors to (RFC 9567); the
	// zero Name or the root: none.
	ReportAgent dns.Name
}

const (
	defaultMaxUDP = 1232
	minUDP        = 512 // RFC 1035 §2.3.4, RFC 6891 §6.2.3
	maxNSID       = 128 // leaves room for the longest question in 512 octets
)

// Server answers from zones. It may be used by any number of goroutines.
type Server struct {
	view      string
	zones     zones
	workers   workers
	transfers transfers
	updates   Updates
	notices   func(Notice) NoticeVerdict
	children  func(Notice) NoticeVerdict
	expires   func(string, dns.Name) (time.Duration, bool)
	until     func(string, dns.Name) (time.Time, bool)
	replies   replies
	patients  patients

	maxUDP   int
	nsid     []byte // as an option in wire form, nil: none
	version  []byte // as rdata of a TXT record, nil: refused
	hostname []byte

	keys           *Keys
	cookies        *cookie.Jar
	requireCookies bool
	limiter        *rrl.Limiter
	agent          dns.Name
	report         []byte // as an option in wire form, nil: none
}

// New returns a Server without zones.
func New(o Options) *Server {
	s := &Server{
		view:     o.View,
		maxUDP:   max(int(o.MaxUDP), minUDP),
		version:  txtOrNil(o.Version),
		hostname: txtOrNil(o.Hostname),
		keys:     o.Keys,
		cookies:  o.Cookies, requireCookies: o.RequireCookies && o.Cookies != nil, limiter: o.Limiter,
	}
	s.transfers.init(o.Transfers)
	s.updates, s.replies.clock = o.Updates, s.transfers.options.Clock
	s.notices, s.children, s.expires = o.Notified, o.ChildNotified, o.Expires
	s.until = o.SignedUntil
	if o.MaxUDP == 0 {
		s.maxUDP = defaultMaxUDP
	}
	if len(o.NSID) > 0 {
		s.nsid = dns.AppendOption(nil, dns.OptionNSID, o.NSID[:min(len(o.NSID), maxNSID)])
	}
	// RFC 9567 §6.1: neither an empty name nor the root's.
	if !o.ReportAgent.IsZero() && !o.ReportAgent.IsRoot() {
		s.agent = o.ReportAgent
		s.report = dns.AppendOption(nil, dns.OptionReportChannel, s.agent.Append(nil))
	}
	s.zones.current.Store(newTable(0))
	return s
}

func txtOrNil(text string) []byte {
	if text == "" {
		return nil
	}
	return dns.NewTXT(text)
}

// NewWorker returns a Worker with memory of its own.
func (s *Server) NewWorker() transport.Worker {
	w := &worker{srv: s}
	s.workers.register(w)
	return w
}

// Stats returns what all Workers have counted, those of the past included.
func (s *Server) Stats() Stats { return s.workers.sum() }
