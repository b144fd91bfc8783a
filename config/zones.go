package config

import (
	"net/netip"
	"time"

	"onoma/dns"
)

// Template is a named set of settings.
type Template struct {
	// Name is what zones call it.
	Name string `yaml:"name,key"`
	// Template is one that this template starts from.
	Template string `yaml:"template"`

	Settings `yaml:",inline"`
}

// Zone is a zone that is served, with the settings of its template in it.
type Zone struct {
	// Name is the zone's.
	Name dns.Name `yaml:"name,key"`
	// Template is what the zone's settings start from; without it the template named default, where there is one.
	Template string `yaml:"template"`

	Settings `yaml:",inline"`

	// View is the name of the view that the zone is in, "" outside of all.
	View string `yaml:"-"`
	// At is where the zone stands in the file.
	At Pos `yaml:"-"`
}

// Settings are those that a zone and a template have in common.
type Settings struct {
	// File is the zone file. In it, {zone} is the name of the zone without its last dot and {view} that of its view.
	File string `yaml:"file" path:"zone"`
	// FileMode says when the file is read: reload at the start and at each reload, watch as soon as it changes, too, and initial only as the first content of a zone that is then changed in other ways.
	FileMode FileMode `yaml:"file-mode" default:"reload" oneof:"reload|watch|initial"`
	// WriteBack writes the zone to its file, whose file-mode is initial, soon after it has changed in other ways.
	WriteBack bool `yaml:"write-back" default:"false"`
	// Serial says which serial number a new version gets: increment one more, date YYYYMMDDnn, unixtime seconds since 1970, keep what the change itself says.
	Serial Serial `yaml:"serial" default:"increment" oneof:"increment|date|unixtime|keep"`

	// Primaries are the servers that the zone is transferred from: names of servers, or addresses as ADDR, ADDR:PORT, with +key:NAME behind.
	Primaries Servers `yaml:"primaries"`
	// IXFR asks primaries for the difference first (RFC 1995).
	IXFR bool `yaml:"ixfr" default:"true"`
	// Backwards says what is done where all primaries that answer have an older version than this server: ignore keeps the newer one, accept fetches theirs.
	Backwards string `yaml:"backwards" default:"ignore" oneof:"ignore|accept"`
	// AllowNotify are those whose NOTIFY is obeyed besides the primaries.
	AllowNotify Access `yaml:"allow-notify"`
	// RefreshMin is the shortest time between two looks at the primaries, whatever the SOA record says.
	RefreshMin time.Duration `yaml:"refresh-min" default:"2s" range:"1s..365d"`
	// RefreshMax is the longest.
	RefreshMax time.Duration `yaml:"refresh-max" default:"28d" range:"1s..365d"`
	// RetryMin is the shortest time before a primary is tried again.
	RetryMin time.Duration `yaml:"retry-min" default:"1s" range:"1s..365d"`
	// RetryMax is the longest.
	RetryMax time.Duration `yaml:"retry-max" default:"14d" range:"1s..365d"`
	// ExpireMin is the least time that the zone is served without a primary.
	ExpireMin time.Duration `yaml:"expire-min" default:"0s" range:"0s..3650d"`
	// ExpireMax is the most.
	ExpireMax time.Duration `yaml:"expire-max" default:"3650d" range:"1s..3650d"`

	// Notify are the servers that are told of new versions (RFC 1996) and asked whether they serve them.
	Notify Servers `yaml:"notify"`
	// NotifyNS tells the name servers of the zone, too, but for the one that its SOA record names.
	NotifyNS bool `yaml:"notify-ns" default:"false"`
	// NotifyFrom is the local address to send NOTIFY from, one for IPv4 and one for IPv6.
	NotifyFrom []netip.Addr `yaml:"notify-from"`
	// TransferTo are those who get the whole zone (RFC 5936, RFC 1995): addresses, prefixes, key:NAME, tls:NAME of the certificate that they show (tls.client-ca), several of these with + between, and names of access lists.
	TransferTo Access `yaml:"transfer-to"`
	// TransferFrom is the local address to fetch the zone from, one for IPv4 and one for IPv6.
	TransferFrom []netip.Addr `yaml:"transfer-from"`

	// Update is who may change what by UPDATE (RFC 2136), rule by rule; the first that matches counts. docs/update.md has the rules.
	Update []Rule `yaml:"update"`
	// ForwardUpdates sends UPDATE messages on to the primaries of the zone (RFC 2136 §6).
	ForwardUpdates bool `yaml:"forward-updates" default:"false"`

	// DNSSEC is the policy by which the zone is signed, or off. auto signs by the policy default what is written here (zone files, UPDATE), if it is not signed already, and leaves what comes from primaries as it is.
	DNSSEC string `yaml:"dnssec" default:"auto" ref:"policy"`
	// KeysFrom is the directory of another server's private keys (BIND's K*.private with K*.key, or Knot's ID.pem with what keymgr -j lists in {zone}json), which has signed the zone until now: those of the zone are taken over before it is signed here for the first time. {zone} and {view} stand for the names of these.
	KeysFrom string `yaml:"keys-from" path:"file"`
	// New says that nobody has served the zone before: no cache can have anything unsigned of it, so that the parent is told of its keys at once.
	New bool `yaml:"new" default:"false"`
	// Parent says how the zone deals with the zone above it.
	Parent Parent `yaml:"parent"`
	// Signers are servers of the zone's other providers, which sign it by keys of their own (RFC 8901): names of servers, or addresses as ADDR, ADDR:PORT, with +key:NAME behind. They are asked for their keys, which this server then has in its DNSKEY set and in its CDS. docs/multi-signer.md has more.
	Signers Servers `yaml:"signers"`
	// SignersUpdate gives those servers this server's keys and the CDS of all by UPDATE (RFC 2136), each with its TSIG key; for those that do not ask for themselves.
	SignersUpdate bool `yaml:"signers-update" default:"false"`
	// Children says what the zone takes from those below it.
	Children Children `yaml:"children"`

	// ZONEMD checks the digest of the zone (RFC 8976) in what comes in: verify where there is one, require that there is one, or off.
	ZONEMD string `yaml:"zonemd" default:"off" oneof:"off|verify|require"`
	// Gate says what no version may be like.
	Gate Gate `yaml:"gate"`
	// History says how long old versions are kept.
	History History `yaml:"history"`

	// Catalog makes the zone a catalog zone (RFC 9432).
	Catalog Catalog `yaml:"catalog"`
	// MemberOf is the catalog zone of this server that the zone is listed in.
	MemberOf dns.Name `yaml:"member-of"`
	// Group is the group that it has there.
	Group string `yaml:"group"`
	// NewOwner is the catalog zone of another server that may take the zone over from that catalog (RFC 9432 §4.3.1).
	NewOwner dns.Name `yaml:"new-owner"`
}

// FileMode says when a zone file is read.
type FileMode string

// The modes.
const (
	FileReload  FileMode = "reload"
	FileWatch   FileMode = "watch"
	FileInitial FileMode = "initial"
)

// Serial is a policy for serial numbers.
type Serial string

// The policies.
const (
	SerialIncrement Serial = "increment"
	SerialDate      Serial = "date"
	SerialUnixtime  Serial = "unixtime"
	SerialKeep      Serial = "keep"
)

// Gate is what stands before a version is served.
type Gate struct {
	// Checks says which findings about the content refuse it: errors, warnings too, or off.
	Checks string `yaml:"checks" default:"errors" oneof:"errors|warnings|off"`
	// RemoveMost refuses a version that removes more of the names than this, such as 20%; without it there is no limit.
	RemoveMost Percent `yaml:"remove-most"`
	// Signatures checks DNSSEC in what comes signed by somebody else, in a file or from a primary: verify where there is any, require that there is, or off.
	Signatures string `yaml:"signatures" default:"off" oneof:"off|verify|require"`
	// Command is a program and its arguments that refuses a version by its exit status; one without a slash is looked for in PATH.
	Command []string `yaml:"command" path:"command"`
	// Timeout is how long the command may take.
	Timeout time.Duration `yaml:"timeout" default:"30s" range:"1s..1h"`
}

// History is a limit of what is kept of old versions: those older than Keep go, and the oldest of those beyond Size.
type History struct {
	// Keep is the age.
	Keep time.Duration `yaml:"keep" default:"90d" range:"0s..36500d"`
	// Size is the octets of one zone's old versions.
	Size Size `yaml:"size" default:"1GiB"`
}

// Catalog is the part of a catalog zone that this server plays.
type Catalog struct {
	// Produce makes up the zone of those zones that have member-of with its name.
	Produce bool `yaml:"produce" default:"false"`
	// Consume serves the zones that it lists.
	Consume *Consume `yaml:"consume"`
}

// Consume says how the members of a catalog zone are served.
type Consume struct {
	// Template is that of members without a group, or with one that is not named here.
	Template string `yaml:"template" ref:"template"`
	// Groups are the templates of members with a group, by its name.
	Groups []Group `yaml:"groups"`
	// MembersMax is the most members that are served; a catalog with more is refused.
	MembersMax int `yaml:"members-max" default:"1000000" range:"1..100000000"`
	// Keep is how long the data of a zone stays that is listed no more.
	Keep time.Duration `yaml:"keep" default:"0s" range:"0s..3650d"`
}

// Group is a group of a catalog zone.
type Group struct {
	// Name is the group's.
	Name string `yaml:"name,key"`
	// Template is that of its members.
	Template string `yaml:"template,value" ref:"template"`
}

// View is what some clients are answered from instead of the zones outside of
// views. All that is given of Match and To has to be true for a query.
type View struct {
	// Name is the view's.
	Name string `yaml:"name,key"`
	// Match are the clients: addresses, prefixes, key:NAME, PREFIX+key:NAME, and names of access lists. A query signed with a key is checked against the key by the view that it selects.
	Match Access `yaml:"match"`
	// To are the addresses of this server that were asked.
	To []netip.Prefix `yaml:"to"`
	// Others serves the zones outside of views here as well, where the view has none of the same name.
	Others bool `yaml:"others" default:"false"`
	// Zones are the view's.
	Zones []Zone `yaml:"zones"`
}
