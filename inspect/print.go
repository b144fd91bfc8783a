package inspect

import (
	"fmt"
	"io"
	"strings"
	"time"

	"onoma/dns"
)

// WriteText writes the reply as dig does: sections of master file lines, with
// everything else as comments, so that a zone file reader takes it.
func (r *Reply) WriteText(w io.Writer) error {
	m := r.Message
	var b strings.Builder
	if r.Truncated {
		b.WriteString(";; The reply was truncated; asked again over TCP\n")
	}
	fmt.Fprintf(&b, ";; ->>HEADER<<- opcode: %s, status: %s, id: %d\n", m.Flags.Opcode(), m.RCode, m.ID)
	opts := 0 // the header counts OPT as well
	if m.EDNS != nil {
		opts = 1
	}
	fmt.Fprintf(&b, ";; flags: %s; QUERY: %d, ANSWER: %d, AUTHORITY: %d, ADDITIONAL: %d\n",
		m.Flags, len(m.Questions), len(m.Answer), len(m.Authority), len(m.Additional)+opts)
	if m.Flags.Has(dns.FlagRD) && !m.Flags.Has(dns.FlagRA) {
		b.WriteString(";; recursion was asked for, this server does not offer it\n")
	}
	if m.EDNS != nil {
		writeEDNS(&b, m.EDNS)
	}
	writeQuestions(&b, m.Questions)
	for _, s := range []dns.Section{dns.SectionAnswer, dns.SectionAuthority, dns.SectionAdditional} {
		writeSection(&b, s, m.Section(s))
	}
	fmt.Fprintf(&b, "\n;; Query time: %s\n", Duration(r.Elapsed))
	fmt.Fprintf(&b, ";; SERVER: %s#%d (%s)\n", r.Server.Addr(), r.Server.Port(), strings.ToUpper(r.Proto.String()))
	fmt.Fprintf(&b, ";; WHEN: %s\n", r.Asked.Format(time.RFC1123Z))
	fmt.Fprintf(&b, ";; MSG SIZE  rcvd: %d\n", r.Size)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeEDNS(b *strings.Builder, e *dns.EDNS) {
	flags := ""
	if e.DO {
		flags += " do"
	}
	if e.CO {
		flags += " co"
	}
	fmt.Fprintf(b, "\n;; OPT PSEUDOSECTION:\n; EDNS: version: %d, flags:%s; udp: %d\n", e.Version, flags, e.UDPSize)
	for _, o := range e.Options {
		fmt.Fprintf(b, "; %s: %s\n", o.Code, o.Value())
	}
}

func writeQuestions(b *strings.Builder, qs []dns.Question) {
	if len(qs) == 0 {
		return
	}
	b.WriteString("\n;; QUESTION SECTION:\n")
	for _, q := range qs {
		fmt.Fprintf(b, ";%s\t%s\t%s\n", q.Name, q.Class, q.Type)
	}
}

func writeSection(b *strings.Builder, s dns.Section, rs []dns.Record) {
	if len(rs) == 0 {
		return
	}
	fmt.Fprintf(b, "\n;; %s SECTION:\n", strings.ToUpper(s.String()))
	for _, r := range rs {
		fmt.Fprintln(b, r)
	}
}

// WriteShort writes the data of the answer section alone, a line for each record.
func (r *Reply) WriteShort(w io.Writer) error {
	var b []byte
	for _, rec := range r.Message.Answer {
		b = append(dns.AppendRDataText(b, rec.Type, rec.Data), '\n')
	}
	_, err := w.Write(b)
	return err
}
