package dns

const errServices = rdataError("WKS bitmap longer than 8192 octets")

// wellKnown are the services that WKS records name (RFC 1035 §3.4.2, RFC 1010).
var wellKnown = []mnemonic{
	{"echo", 7}, {"discard", 9}, {"systat", 11}, {"daytime", 13}, {"netstat", 15}, {"qotd", 17},
	{"chargen", 19}, {"ftp-data", 20}, {"ftp", 21}, {"ssh", 22}, {"telnet", 23}, {"smtp", 25},
	{"time", 37}, {"rlp", 39}, {"nameserver", 42}, {"whois", 43}, {"domain", 53}, {"bootps", 67},
	{"bootpc", 68}, {"tftp", 69}, {"gopher", 70}, {"finger", 79}, {"http", 80}, {"www", 80},
	{"kerberos", 88}, {"supdup", 95}, {"hostname", 101}, {"hostnames", 101}, {"iso-tsap", 102},
	{"rtelnet", 107}, {"pop2", 109}, {"pop3", 110}, {"sunrpc", 111}, {"auth", 113}, {"sftp", 115},
	{"uucp-path", 117}, {"nntp", 119}, {"ntp", 123}, {"imap2", 143}, {"imap", 143}, {"snmp", 161},
	{"snmptrap", 162}, {"bgp", 179}, {"irc", 194}, {"ldap", 389}, {"https", 443}, {"exec", 512},
	{"login", 513}, {"who", 513}, {"shell", 514}, {"syslog", 514}, {"printer", 515}, {"talk", 517},
	{"ntalk", 518}, {"uucp", 540}, {"domain-s", 853}, {"imaps", 993}, {"pop3s", 995}, {"nfs", 2049},
}

func lookupService(s []byte) (uint16, bool) {
	for _, m := range wellKnown {
		if len(m.name) == len(s) && equalFold(m.name, s) {
			return m.code, true
		}
	}
	return 0, false
}

func checkServices(b []byte) error {
	if len(b) > 8192 {
		return errServices
	}
	return nil
}

// services reads port numbers and names of services.
func (p *rdataParser) services(dst []byte) []byte {
	start := len(dst)
	for p.more() {
		s := p.take().Text
		port, ok := parseUint(s, 1<<16-1)
		if !ok {
			var v uint16
			v, ok = lookupService(s)
			port = uint64(v)
		}
		if !ok {
			return p.bad(dst, "service", "a port number, or the name of a service such as smtp")
		}
		for len(dst) <= start+int(port)/8 {
			dst = append(dst, 0)
		}
		dst[start+int(port)/8] |= 0x80 >> (port % 8)
	}
	return dst
}

// appendServicesText writes port numbers. It fails where zero octets end the
// bitmap, which no list of ports says.
func appendServicesText(dst, b []byte) ([]byte, bool) {
	if trimZeroes(b) != len(b) {
		return dst, false
	}
	start := len(dst)
	for i := range len(b) * 8 {
		if b[i/8]&(0x80>>(i%8)) != 0 {
			dst = append(appendUint(dst, uint64(i)), ' ')
		}
	}
	return trimBlank(dst, start), true
}
