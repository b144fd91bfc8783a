package authority

import "onoma/dns"

// The names in class CH that servers are asked about themselves.
var (
	versionNames  = [][]byte{wireName("version.bind"), wireName("version.server")}
	hostnameNames = [][]byte{wireName("hostname.bind"), wireName("id.server")} // RFC 4892 §2
)

func wireName(s string) []byte { return dns.MustName(s).Append(nil) }

// chaos answers questions of class CH.
func (w *worker) chaos() {
	text := w.chaosText()
	if text == nil {
		w.fail(dns.RCodeRefused, edeChaos)
		return
	}
	w.aa, w.fate = true, fateAnswer
	if w.q.Type == dns.TypeTXT || w.q.Type == dns.TypeANY {
		w.full = !w.b.RecordAt(dns.SectionAnswer, dns.HeaderLen, dns.TypeTXT, dns.ClassCH, 0, text)
	}
}

// chaosText returns the rdata of the TXT record at the question's name.
func (w *worker) chaosText() []byte {
	for i := range versionNames {
		switch {
		case dns.EqualNames(w.q.Name, versionNames[i]):
			return w.srv.version
		case dns.EqualNames(w.q.Name, hostnameNames[i]):
			return w.srv.hostname
		}
	}
	return nil
}
