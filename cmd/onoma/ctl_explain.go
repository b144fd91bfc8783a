package main

import (
	"bytes"
	"fmt"
	"strings"

	"onoma/resolver"
)

// explanationText writes an answer for a person, with all its reasons if whole.
func explanationText(x *resolver.Explanation, whole bool) []byte {
	var b bytes.Buffer
	if whole {
		explainSteps(&b, x)
		for i := range x.Proofs {
			explainProof(&b, &x.Proofs[i], i)
		}
	}
	trust := ""
	if x.IsSecure {
		trust = ", secure"
	}
	fmt.Fprintf(&b, "%s %s: %s%s\n", x.Name, x.Type, x.RCode, trust)
	for _, record := range x.Answer {
		fmt.Fprintf(&b, "  %s\n", record)
	}
	if len(x.Answer) == 0 {
		for _, record := range x.Authority {
			fmt.Fprintf(&b, "  %s\n", record)
		}
	}
	for _, r := range x.Policy {
		fmt.Fprintf(&b, "  policy: %s by %s\n", r.Action, strings.TrimSpace(strings.Join([]string{r.List, r.Trigger, r.Rule}, " ")))
	}
	for _, e := range x.Errors {
		fmt.Fprintf(&b, "  because: %s\n", e)
	}
	if whole {
		explainCost(&b, x)
	}
	return b.Bytes()
}

func explainSteps(b *bytes.Buffer, x *resolver.Explanation) {
	last := ""
	for i := range x.Steps {
		s := &x.Steps[i]
		if s.For != last {
			heading := "Looking for " + s.For
			if last != "" && s.For != x.Name+" "+x.Type {
				heading += ", for the proof"
			}
			fmt.Fprintf(b, "%s\n", heading)
			last = s.For
		}
		indent := strings.Repeat("  ", s.Depth+1)
		fmt.Fprintf(b, "%s%8.1f ms  %s\n", indent, s.AtMS, s.Text)
		if detail := stepDetail(s); detail != "" {
			fmt.Fprintf(b, "%s             %s\n", indent, detail)
		}
	}
	if len(x.Steps) > 0 {
		b.WriteByte('\n')
	}
}

// stepDetail is what a second line tells of a question to a server.
func stepDetail(s *resolver.Step) string {
	var parts []string
	if s.Sent != "" {
		parts = append(parts, "asked "+s.Sent+" as a server of "+s.Zone)
	}
	if s.Address != "" {
		parts = append(parts, fmt.Sprintf("%s, %.1f ms", s.Protocol, s.RTTMS))
	}
	if s.Octets > 0 {
		parts = append(parts, fmt.Sprintf("%d octets", s.Octets))
	}
	if s.TTL > 0 {
		parts = append(parts, fmt.Sprintf("kept %d s", s.TTL))
	}
	return strings.Join(parts, "; ")
}

func explainProof(b *bytes.Buffer, p *resolver.Proof, attempt int) {
	heading := "Validation: " + p.Status
	if attempt > 0 {
		heading = fmt.Sprintf("Validation, attempt %d: %s", attempt+1, p.Status)
	}
	if p.Why != "" {
		heading += ", " + p.Why
	}
	fmt.Fprintln(b, heading)
	for _, z := range p.Zones {
		fmt.Fprintf(b, "  %s %s", z.Zone, z.Status)
		if z.IsAnchor {
			b.WriteString(", trust anchor")
		}
		if len(z.DS) > 0 {
			fmt.Fprintf(b, "; DS %s", strings.Join(z.DS, ", "))
		}
		if len(z.Keys) > 0 {
			fmt.Fprintf(b, "; keys %s", strings.Join(z.Keys, ", "))
		}
		if z.Why != "" {
			fmt.Fprintf(b, "; %s", z.Why)
		}
		b.WriteByte('\n')
	}
	for _, s := range p.Sets {
		fmt.Fprintf(b, "  %s %s %s", s.Name, s.Type, s.Status)
		if len(s.By) > 0 {
			fmt.Fprintf(b, ", signed by %s", strings.Join(s.By, ", "))
		}
		if s.Why != "" {
			fmt.Fprintf(b, "; %s", s.Why)
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
}

func explainCost(b *bytes.Buffer, x *resolver.Explanation) {
	parts := make([]string, 0, len(x.Spent))
	for _, s := range x.Spent {
		parts = append(parts, fmt.Sprintf("%d of %d %s", s.Used, s.Limit, s.What))
	}
	fmt.Fprintf(b, "\n%.1f ms; may be kept %d s; %s\n", x.ElapsedMS, x.TTL, strings.Join(parts, ", "))
}
