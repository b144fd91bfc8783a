package config

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"time"

	"onoma/dns"
	"onoma/dns/zonefile"
)

// ResolverPolicy is how clients are answered otherwise than the DNS has it. All of it can change while the resolver runs.
type ResolverPolicy struct {
	// Access says what clients may do, by network, as in 10.0.0.0/8: allow. The longest network counts; others are refused. Without it allow, beside this block, counts.
	Access []PolicyAccess `yaml:"access"`
	// LocalZones are names with what is done with them and all below them, as in corp.example: static.
	LocalZones []LocalZone `yaml:"local-zones"`
	// LocalData are records that are answered with, as in "printer.corp.example. 300 IN A 192.0.2.1".
	LocalData []string `yaml:"local-data"`
	// RPZ are policy zones, by their names, in the order in which they are heard.
	RPZ []PolicyZone `yaml:"rpz"`
	// BlockLists are lists of names not to be had: hosts files, names, or AdBlock rules, a line each.
	BlockLists []BlockList `yaml:"block-lists"`
	// Blocking is what is answered for a name on a block list: nxdomain, null (0.0.0.0 and ::), nodata or refuse.
	Blocking string `yaml:"blocking" default:"nxdomain" oneof:"nxdomain|null|nodata|refuse"`
	// BlockSubdomains has a line that is only a name block all names below it, too.
	BlockSubdomains bool `yaml:"block-subdomains" default:"false"`
	// Views are groups of clients that hear other lists, by their names.
	Views []PolicyView `yaml:"views"`
	// Rebinding takes addresses of the own network out of what names of the internet lead to.
	Rebinding bool `yaml:"rebinding" default:"false"`
	// RebindingNetworks are what counts as the own network; without it private, shared, loopback and link-local networks.
	RebindingNetworks []netip.Prefix `yaml:"rebinding-networks"`
	// RebindingAllow are names that may lead there, and all below them.
	RebindingAllow []dns.Name `yaml:"rebinding-allow"`
	// DNS64 are prefixes of translators, as in 64:ff9b::/96: names without an IPv6 address get one made of the IPv4 address (RFC 6147).
	DNS64 []netip.Prefix `yaml:"dns64"`
	// DNS64All has addresses made for names that have an IPv6 address, too.
	DNS64All bool `yaml:"dns64-all" default:"false"`
	// DNS64Exclude are IPv6 addresses that count as if they were not there.
	DNS64Exclude []netip.Prefix `yaml:"dns64-exclude"`
	// Log has all that rules decide logged.
	Log bool `yaml:"log" default:"false"`
}

// PolicyAccess says what the clients of a network may do.
type PolicyAccess struct {
	// Network is where the clients are.
	Network netip.Prefix `yaml:"network,key"`
	// Action is allow, allow-set-rd (as if each query had RD), cache-only, local-only (what rules answer), refuse, or deny (no answer).
	Action string `yaml:"action,value" default:"allow" oneof:"allow|allow-set-rd|cache-only|local-only|refuse|deny"`
}

// LocalZone is a name and what is done with it and all below it.
type LocalZone struct {
	// Name is the name.
	Name dns.Name `yaml:"name,key"`
	// Kind is what is done with names that have no local data, as in Unbound's local-zone: transparent looks them up, static has them not exist, redirect gives them the data of the zone's name, and so on.
	Kind string `yaml:"kind,value" default:"static" oneof:"transparent|typetransparent|static|redirect|deny|refuse|always_transparent|always_nxdomain|always_nodata|always_null|always_deny|always_refuse|block_a|block_aaaa|block_a_wdata|block_aaaa_wdata"`
	// Tags are those of the views that it is for; without one it is for all.
	Tags []string `yaml:"tags"`
	// For gives clients of a network another kind, as in 192.0.2.7: always_refuse.
	For []LocalZoneFor `yaml:"for"`
}

// LocalZoneFor is the kind of a local zone for the clients of a network.
type LocalZoneFor struct {
	// Network is where the clients are.
	Network netip.Prefix `yaml:"network,key"`
	// Kind is what is done for them.
	Kind string `yaml:"kind,value" default:"static" oneof:"transparent|typetransparent|static|redirect|deny|refuse|always_transparent|always_nxdomain|always_nodata|always_null|always_deny|always_refuse|block_a|block_aaaa|block_a_wdata|block_aaaa_wdata"`
}

// PolicyZone is a response policy zone (RPZ). It is read from a file, or is a zone of this server, which keeps it as it keeps any zone: from primaries by AXFR and IXFR, with TSIG or TLS, told by NOTIFY.
type PolicyZone struct {
	// Name is the zone's name.
	Name dns.Name `yaml:"name,key"`
	// File is the zone file, read again when it changes; without it the zone is the one of that name among zones.
	File string `yaml:"file" path:"file"`
	// Action is done in place of what the rules say; none: what they say.
	Action string `yaml:"action" default:"none" oneof:"none|nxdomain|nodata|passthru|drop|tcp-only|refuse|cname"`
	// Target is where action: cname leads to.
	Target dns.Name `yaml:"target"`
	// MaxTTL is the longest TTL of records that rules answer with; 0 is no limit.
	MaxTTL time.Duration `yaml:"max-ttl" default:"0s" range:"0s..24855d"`
	// Error is the extended error that goes with what is blocked (RFC 8914): blocked, censored (others have decided) or filtered (clients have asked for it).
	Error string `yaml:"error" default:"blocked" oneof:"blocked|censored|filtered"`
	// SignalNXDomain clears RA where a rule has a name not exist, by which a client can tell.
	SignalNXDomain bool `yaml:"signal-nxdomain" default:"false"`
	// Tags are those of the views that it is for; without one it is for all.
	Tags []string `yaml:"tags"`
}

// BlockList is a list of names from a file or from the web.
type BlockList struct {
	// Name is what logs and errors call it.
	Name string `yaml:"name,key"`
	// File is where it is, read again when it changes.
	File string `yaml:"file" path:"file"`
	// URL is where it is fetched from, https://... or http://...; the last good copy is kept in the data directory.
	URL string `yaml:"url"`
	// Every is how often the URL is asked for a newer one.
	Every time.Duration `yaml:"every" default:"24h" range:"1m..365d"`
	// MaxSize is the most octets that are taken from the URL.
	MaxSize Size `yaml:"max-size" default:"64MiB"`
	// Tags are those of the views that it is for; without one it is for all.
	Tags []string `yaml:"tags"`
}

// PolicyView are clients that hear other lists than all.
type PolicyView struct {
	// Name is what logs call it.
	Name string `yaml:"name,key"`
	// Clients are their networks; the longest counts. A view without any is for all that no other has.
	Clients []netip.Prefix `yaml:"clients"`
	// Tags are those of the lists and zones that they hear besides those without tags.
	Tags []string `yaml:"tags"`
	// TagZones gives local zones with a tag another kind, as in strict: always_nxdomain.
	TagZones []TagZone `yaml:"tag-zones"`
	// TagData answers in local zones with a tag by other records, as in strict: ["A 192.0.2.80"].
	TagData []TagData `yaml:"tag-data"`
	// LocalZones are for them alone.
	LocalZones []LocalZone `yaml:"local-zones"`
	// LocalData are for them alone.
	LocalData []string `yaml:"local-data"`
	// Inherit has local zones and data of all heard where the view's own say nothing; where it has none, they always are.
	Inherit bool `yaml:"inherit" default:"true"`
	// DNS64 makes IPv6 addresses for them, where dns64 is set.
	DNS64 bool `yaml:"dns64" default:"true"`
}

// TagZone is the kind of local zones with a tag.
type TagZone struct {
	// Tag is the tag.
	Tag string `yaml:"tag,key"`
	// Kind is what is done.
	Kind string `yaml:"kind,value" default:"static" oneof:"transparent|typetransparent|static|redirect|deny|refuse|always_transparent|always_nxdomain|always_nodata|always_null|always_deny|always_refuse|block_a|block_aaaa|block_a_wdata|block_aaaa_wdata"`
}

// TagData are the data of local zones with a tag.
type TagData struct {
	// Tag is the tag.
	Tag string `yaml:"tag,key"`
	// Data are records without their owner, as in "A 192.0.2.80".
	Data []string `yaml:"data,value"`
}

// IsZero reports whether there is no policy at all.
func (p *ResolverPolicy) IsZero() bool {
	return len(p.Access)+len(p.LocalZones)+len(p.LocalData)+len(p.RPZ)+len(p.BlockLists)+len(p.Views)+len(p.DNS64) == 0 && !p.Rebinding
}

// LocalRecord reads a record of local data: NAME TTL CLASS TYPE DATA, of which TTL and class may be left out. The name is owner where that
// is not the zero Name, and then not in the text.
func LocalRecord(text string, owner dns.Name) (dns.Record, error) {
	if !owner.IsZero() {
		text = owner.String() + " " + text
	}
	r := zonefile.NewReader(strings.NewReader(text+"\n"), zonefile.Options{Origin: dns.Root, DefaultTTL: localTTL})
	record, err := r.Next()
	if err != nil {
		return record, err
	}
	if _, err := r.Next(); err != io.EOF {
		return record, errors.New("more than one record")
	}
	return record, nil
}

const localTTL = 3600

func (d *decoder) checkLocalData(m *mapping, owner dns.Name, key string, lines []string) {
	for _, text := range lines {
		if _, err := LocalRecord(text, owner); err != nil {
			d.fail(m.at(key), "records such as \"printer.corp.example. 300 IN A 192.0.2.1\"", "%s: %q: %v", key, shorten(text), err)
		}
	}
}

func (d *decoder) checkPolicyView(m *mapping, v *PolicyView) {
	d.checkLocalData(m, dns.Name{}, "local-data", v.LocalData)
	for _, t := range v.TagData {
		d.checkLocalData(m, dns.Root, "tag-data", t.Data)
	}
}

func (d *decoder) checkPolicyZone(m *mapping, z *PolicyZone) {
	switch {
	case z.Name.IsRoot():
		d.fail(m.node, "a name such as rpz.example", "a policy zone cannot be the root")
	case (z.Action == "cname") == z.Target.IsZero():
		d.fail(m.at("action"), "action: cname and target together", "policy zone %s has one of them", z.Name)
	}
}

func (d *decoder) checkBlockList(m *mapping, b *BlockList) {
	switch {
	case (b.File == "") == (b.URL == ""):
		d.fail(m.node, "one of file and url", "block list %s has none or both", shorten(b.Name))
	case b.URL != "" && !strings.HasPrefix(b.URL, "https://") && !strings.HasPrefix(b.URL, "http://"):
		d.fail(m.at("url"), "https://... or http://...", "block list %s: %q is not fetched", shorten(b.Name), shorten(b.URL))
	}
}
