package authority

import (
	"errors"
	"time"

	"onoma/dns"
	"onoma/transport"
	"onoma/zone"
)

// maxChain is how many aliases one answer follows.
const maxChain = 16

// worker is the scratch of one goroutine and, while it answers, the state of
// the answer.
type worker struct {
	server *Server
	q      dns.Query
	b      dns.Builder
	m      zone.Match

	name   []byte // the name that is being answered for: the question's, then targets of aliases
	folded [dns.MaxNameLen]byte
	chain  [maxChain][dns.MaxNameLen]byte // targets of the aliases followed
	links  int                            // how many of them
	owner  [dns.MaxNameLen]byte           // room for one owner name
	wilds  [maxChain + 1]expansion        // names answered from wildcards, not proven yet
	wild   int                            // how many of them
	proofs [maxChain + 8]zone.Node        // owners of NSEC and NSEC3 in the answer already
	proven int

	rcode     dns.RCode
	truncated bool
	ede       dns.EDECode
	hasEDE    bool
	opts      []byte
}

// Answer implements transport.Worker.
func (w *worker) Answer(dst []byte, tq *transport.Query) []byte {
	err := w.q.Parse(tq.Msg)
	h := &w.q.Header
	flags := h.Flags&(dns.FlagRD) | dns.FlagQR
	flags = flags.WithOpcode(h.Flags.Opcode())
	switch {
	case len(tq.Msg) < dns.HeaderLen || h.Flags.Has(dns.FlagQR):
		return dst
	case h.Flags.Opcode() != dns.OpcodeQuery:
		// NOTIFY, UPDATE and the rest are not served here.
		return w.bare(dst, flags, dns.RCodeNotImp)
	case err != nil:
		return w.bare(dst, flags, dns.RCodeFormErr)
	case w.q.TSIGAt != 0:
		return w.unknownKey(dst, tq.Msg, flags)
	}
	w.start(dst, tq, flags)
	if w.q.EDNS && w.q.Vers != 0 {
		w.rcode = dns.RCodeBadVers // RFC 6891 §6.1.3: highest version in the reply's OPT
	} else {
		w.answerClass(tq)
	}
	return w.finish()
}

// bare answers a message that cannot be read or is of another kind: its header
// and, where it could be read, its question.
func (w *worker) bare(dst []byte, flags dns.Flags, rcode dns.RCode) []byte {
	w.b.Start(dst, dns.MaxMessageLen, w.q.ID, flags.WithRCode(rcode))
	if w.q.Name != nil {
		w.b.Question(w.q.Name, w.q.Type, w.q.Class)
	}
	if w.q.EDNS {
		w.b.OPT(w.server.opts.MaxUDP, rcode, 0, 0, nil)
	}
	return w.b.Finish()
}

// unknownKey answers a signed query. This server has no keys, so it cannot know
// the client's: NOTAUTH with BADKEY, or FORMERR (RFC 8945 §5.2, §5.2.1).
func (w *worker) unknownKey(dst, msg []byte, flags dns.Flags) []byte {
	var bad *dns.TSIGError
	if _, err := dns.VerifyTSIG(msg, dns.Keys(), time.Time{}); !errors.As(err, &bad) {
		return w.bare(dst, flags, dns.RCodeServFail)
	}
	resp := w.bare(dst, flags, bad.RCode)[len(dst):]
	signed, err := bad.Sign(resp, time.Time{}) // the time in it is the client's (§5.3.2)
	if err != nil {
		return w.bare(dst, flags, dns.RCodeServFail)
	}
	return append(dst, signed...)
}

// start begins the response, and keeps room for what finish adds.
func (w *worker) start(dst []byte, tq *transport.Query, flags dns.Flags) {
	limit := dns.MaxMessageLen
	if tq.Proto == transport.UDP {
		limit = 512 // RFC 1035 §4.2.1; RFC 6891 §6.2.3: smaller values mean 512
		if w.q.EDNS {
			limit = max(512, min(int(w.q.Size), int(w.server.opts.MaxUDP)))
		}
	}
	w.rcode, w.truncated, w.hasEDE = dns.RCodeNoError, false, false
	w.links, w.proven, w.wild = 0, 0, 0
	w.name = w.q.Name
	w.opts = w.opts[:0]
	w.b.Start(dst, limit, w.q.ID, flags)
	w.b.Question(w.q.Name, w.q.Type, w.q.Class)
	if w.q.EDNS {
		w.nsid()
		w.b.Reserve(11 + len(w.opts))
	}
}

// nsid adds the server's name where it is asked for (RFC 5001 §2.1).
func (w *worker) nsid() {
	if len(w.server.opts.NSID) == 0 {
		return
	}
	for rest := w.q.Opts; len(rest) > 0; {
		var code dns.OptionCode
		if code, _, rest = dns.NextOption(rest); code == dns.OptionNSID {
			w.opts = dns.AppendOption(w.opts, dns.OptionNSID, w.server.opts.NSID)
			return
		}
	}
}

// fail ends an answer with an error code, and an extended one for clients that
// can read it.
func (w *worker) fail(rcode dns.RCode, ede dns.EDECode) {
	w.rcode, w.ede, w.hasEDE = rcode, ede, true
}

func (w *worker) finish() []byte {
	flags := w.b.Flags()
	if w.truncated {
		flags |= dns.FlagTC
	}
	w.b.SetFlags(flags.WithRCode(w.rcode))
	if w.q.EDNS {
		if w.hasEDE {
			w.opts = dns.EDE{Code: w.ede}.Append(w.opts)
		}
		var do uint16
		if w.q.DO {
			do = dns.EDNSFlagDO // RFC 3225 §3: copied
		}
		w.b.OPT(w.server.opts.MaxUDP, w.rcode, 0, do, w.opts)
	}
	return w.b.Finish()
}

// answerClass answers a question of any class.
func (w *worker) answerClass(tq *transport.Query) {
	switch w.q.Class {
	case dns.ClassIN:
		w.answer(tq.Proto)
	case dns.ClassCH:
		w.chaos()
	default:
		w.fail(dns.RCodeRefused, dns.EDENotSupported)
	}
}

// chaosNames are the questions about the server itself.
var chaosNames = map[string]bool{ // true: about its software
	"\x07version\x04bind\x00": true, "\x07version\x06server\x00": true,
	"\x08hostname\x04bind\x00": false, "\x02id\x06server\x00": false,
}

func (w *worker) chaos() {
	n := copy(w.folded[:], w.q.Name)
	dns.FoldName(w.folded[:n])
	software, known := chaosNames[string(w.folded[:n])]
	text := w.server.opts.Hostname
	if software {
		text = w.server.opts.Version
	}
	if !known || text == "" || len(text) > 255 {
		w.fail(dns.RCodeRefused, dns.EDEProhibited)
		return
	}
	w.authoritative()
	if w.q.Type == dns.TypeTXT || w.q.Type == dns.TypeANY {
		data := append(w.owner[:0], byte(len(text)))
		w.b.RecordAt(dns.SectionAnswer, dns.HeaderLen, dns.TypeTXT, dns.ClassCH, 0, append(data, text...))
	}
}

func (w *worker) authoritative() { w.b.SetFlags(w.b.Flags() | dns.FlagAA) }
