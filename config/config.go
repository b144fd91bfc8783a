package config

import (
	"net/netip"

	"onoma/dns"
)

// Config is a whole configuration, with every default filled in and every
// reference resolved.
type Config struct {
	// Data is the directory of everything that the server keeps: the database, snapshots, versions that were refused, keys.
	Data string `yaml:"data" default:"/var/lib/onoma" path:"file" restart:"true"`
	// Store is the database: sqlite (a file in the data directory), sqlite:PATH, or postgres://USER@HOST/DATABASE, which several servers may share.
	Store string `yaml:"store" default:"sqlite" restart:"true"`
	// Control is the Unix socket of onoma ctl; off for none.
	Control string `yaml:"control" default:"/run/onoma/control" path:"file" off:"true" restart:"true"`
	// ZoneDir is the directory that zone files are looked for in; without it that of the configuration file that names them.
	ZoneDir string `yaml:"zone-dir" path:"file"`
	// Listen is what to serve the zones on: ADDR:PORT for UDP and TCP, tls://ADDR, quic://ADDR, https://ADDR/PATH or xdp://INTERFACE. A port may be left out. Where the file has a resolver and no zones, its default is nothing.
	Listen []Endpoint `yaml:"listen" default:"0.0.0.0:53,[::]:53" restart:"true"`
	// Threads is the number of UDP loops for each address, each tied to a CPU; 0: one loop that shares the CPUs with others.
	Threads int `yaml:"threads" default:"0" range:"0..1024" restart:"true"`

	// Server says what the server tells of itself, and how it treats clients.
	Server Manners `yaml:"server"`
	// TLS says where the certificates of the encrypted listeners come from.
	TLS TLS `yaml:"tls"`
	// Log says what is logged, and how.
	Log Log `yaml:"log"`
	// Metrics is where metrics for Prometheus are served, as http://ADDR:PORT/metrics; without it they are not. There is no password.
	Metrics netip.AddrPort `yaml:"metrics" restart:"true"`
	// TopSample says that one of so many queries is looked at for the most frequent names and clients; 0: none.
	TopSample int `yaml:"top-sample" default:"16" range:"0..65536" restart:"true"`
	// Dnstap says who is told of queries and answers.
	Dnstap Dnstap `yaml:"dnstap"`
	// QueryLog is a file with a line of JSON for each answer.
	QueryLog QueryLog `yaml:"query-log"`

	// Keys are the TSIG keys (RFC 8945), by name.
	Keys []Key `yaml:"keys"`
	// Servers are other servers, named once: primaries and secondaries.
	Servers []Remote `yaml:"servers"`
	// Access is lists of clients, named once: addresses, prefixes, key:NAME, PREFIX+key:NAME, and other lists.
	Access []AccessList `yaml:"access"`
	// Resolver answers questions for names of others, at addresses of its own.
	Resolver Resolver `yaml:"resolver"`
	// Lookups says how the server itself looks up names: those of parents' servers, of children's, and of secondaries.
	Lookups Lookups `yaml:"lookups"`
	// DNSSEC says where private keys are kept.
	DNSSEC DNSSEC `yaml:"dnssec"`
	// Policies say how zones are signed. The one named default is there in any case; the settings of one that is given here take the place of its own.
	Policies []Policy `yaml:"policies"`
	// Templates are settings that several zones share. The one named default is that of every zone that names no other.
	Templates []Template `yaml:"templates"`
	// Zones are the zones that are served to whom no view is for.
	Zones []Zone `yaml:"zones"`
	// Views answer the same names differently: the first view that a query matches is the one that it is answered from.
	Views []View `yaml:"views"`

	// Include are other files with more of all this, or patterns such as zones/*.yaml of them. What is named in several files comes together; anything else may be in one of them only.
	Include []string `yaml:"include" path:"file"`

	// Files are those that the configuration was read from, the main one first.
	Files []string `yaml:"-"`
}

// Manners are the settings of one name server towards everybody.
type Manners struct {
	// NSID is what to call this server when a client asks (RFC 5001): a text, or 0x and hex digits. Without it nobody is told.
	NSID string `yaml:"nsid" restart:"true"`
	// Version is the answer to version.bind and version.server; without it these are refused.
	Version string `yaml:"version" restart:"true"`
	// Hostname is the answer to id.server and hostname.bind; without it these are refused.
	Hostname string `yaml:"hostname" restart:"true"`
	// MaxUDP is the octets of the longest answer over UDP.
	MaxUDP int `yaml:"max-udp" default:"1232" range:"512..4096" restart:"true"`
	// ReportAgent is the domain that resolvers report errors to (RFC 9567).
	ReportAgent dns.Name `yaml:"report-agent" restart:"true"`
	// Cookies says how cookies are used (RFC 7873).
	Cookies Cookies `yaml:"cookies"`
	// RateLimit says how many answers a network gets.
	RateLimit RateLimit `yaml:"rate-limit"`
	// ProxyFrom are the networks whose packets and connections begin with a PROXY header (version 2) that tells the client's address.
	ProxyFrom []netip.Prefix `yaml:"proxy-from" restart:"true"`
	// Triage answers, under a flood over UDP, first those who asked before it (Linux).
	Triage bool `yaml:"triage" default:"true" restart:"true"`
	// DSCP marks packets with this code point (RFC 2474).
	DSCP int `yaml:"dscp" default:"0" range:"0..63" restart:"true"`
	// TransfersMax is the most zone transfers to others at once, a tenth of them to one address; others wait for their turn.
	TransfersMax int `yaml:"transfers-max" default:"100" range:"1..100000" restart:"true"`
	// TransfersInMax is the most zone transfers from primaries at once.
	TransfersInMax int `yaml:"transfers-in-max" default:"20" range:"1..10000" restart:"true"`
}

// Cookies are the settings of DNS cookies.
type Cookies struct {
	// Enabled gives cookies to clients that know them.
	Enabled bool `yaml:"enabled" default:"true" restart:"true"`
	// Secrets is a file of secrets that all servers of this address share, 32 hex digits each: the active one, and on a second line the next or the last one. Without it the secret is made up.
	Secrets string `yaml:"secrets" path:"file" restart:"true"`
	// Required has clients that know cookies and send none of ours over UDP come back with one.
	Required bool `yaml:"required" default:"false" restart:"true"`
}

// RateLimit is the limit of answers to one network (IPv4 /24, IPv6 /56).
type RateLimit struct {
	// Rate is the answers a second over UDP of one kind; 0: no limit.
	Rate int `yaml:"rate" default:"0" range:"0..1000000" restart:"true"`
	// Total is the answers a second over UDP, whatever they are; 0: 32 times rate.
	Total int `yaml:"total" default:"0" range:"0..100000000" restart:"true"`
	// Stream is the answers a second over TCP, TLS, QUIC and HTTPS; 0: no limit.
	Stream int `yaml:"stream" default:"0" range:"0..100000000" restart:"true"`
	// Slip cuts each N-th answer too many to a truncated one instead of dropping it: 1 all, 0 none.
	Slip int `yaml:"slip" default:"2" range:"0..15" restart:"true"`
	// Leak sends one of N answers too many after all; 0: none.
	Leak int `yaml:"leak" default:"0" range:"0..1000000" restart:"true"`
	// Allow are networks without a limit.
	Allow []netip.Prefix `yaml:"allow" restart:"true"`
	// Size is the entries of the table of rates, eight octets each.
	Size int `yaml:"size" default:"524288" range:"1024..1073741824" restart:"true"`
}

// TLS says where certificates come from: one of files, ACME, or made up.
type TLS struct {
	// Certificates are files, of which changed ones are read again by themselves.
	Certificates []Certificate `yaml:"certificates" restart:"true"`
	// ACME has a certification authority certify this server's names.
	ACME ACME `yaml:"acme"`
	// ClientCA is a file of whose certificates of clients are believed (PEM); access lists may name those by tls:NAME. Without it nobody is asked for one.
	ClientCA string `yaml:"client-ca" path:"file" restart:"true"`
	// SelfSigned makes up a certificate that nobody vouches for: for labs and tests.
	SelfSigned bool `yaml:"self-signed" default:"false" restart:"true"`
}

// Certificate is a pair of files in PEM.
type Certificate struct {
	// Cert is the certificate with its chain.
	Cert string `yaml:"cert" path:"file" restart:"true"`
	// Key is its private key.
	Key string `yaml:"key" path:"file" restart:"true"`
}

// ACME is a certification authority that speaks RFC 8555.
type ACME struct {
	// Domains are the names to be certified; without any there is no ACME.
	Domains []string `yaml:"domains" restart:"true"`
	// Email is where the authority may write to.
	Email string `yaml:"email" restart:"true"`
	// CA is the URL of its directory; Let's Encrypt's without it.
	CA string `yaml:"ca" restart:"true"`
	// Roots is a file of whom to trust as the authority's web server (PEM); whom the system trusts without it.
	Roots string `yaml:"roots" path:"file" restart:"true"`
	// Dir is where keys and certificates are kept; the directory acme in the data directory without it.
	Dir string `yaml:"dir" path:"file" restart:"true"`
}

// Log is where and how the server logs.
type Log struct {
	// Level is the least important message that is logged.
	Level string `yaml:"level" default:"info" oneof:"debug|info|warn|error" restart:"true"`
	// Format is that of a line.
	Format string `yaml:"format" default:"text" oneof:"text|json" restart:"true"`
	// File is appended to, and opened anew at a reload; without it the log goes to standard error.
	File string `yaml:"file" path:"file" restart:"true"`
}

// QueryLog is a log of answers, with no more about people than is wanted.
type QueryLog struct {
	// File is written to, and opened anew at a reload; without it there is no such log.
	File string `yaml:"file" path:"file" restart:"true"`
	// Clients says how clients are written: as they are, by their network (/24, /48), under a pseudonym that is the same for one client as long as the server runs, or not at all.
	Clients string `yaml:"clients" default:"network" oneof:"full|network|pseudonym|none" restart:"true"`
	// Names says how names are written: as they are, by the domain that somebody has registered, or not at all.
	Names string `yaml:"names" default:"full" oneof:"full|domain|none" restart:"true"`
	// Sample says that one of so many answers is written.
	Sample int `yaml:"sample" default:"1" range:"1..1000000" restart:"true"`
}

// Dnstap is an output of queries and answers in frame streams.
type Dnstap struct {
	// To is unix:///PATH, tcp://HOST:PORT, or file:///PATH, of which a reload begins a new one; without it there is no output.
	To string `yaml:"to" restart:"true"`
	// Sample says that one of so many queries is told.
	Sample int `yaml:"sample" default:"1" range:"1..1000000" restart:"true"`
	// Messages are what is told.
	Messages []string `yaml:"messages" default:"queries,responses" oneof:"queries|responses" restart:"true"`
	// Identity is what the server calls itself there; without it the NSID.
	Identity string `yaml:"identity" restart:"true"`
}
