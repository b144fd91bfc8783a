// Package lab runs the global DNS on one machine: thirteen root servers with a
// real root zone, registries of six top-level domains, hosting providers with
// customers' zones, a resolver that walks all of it, and a page to watch.
//
// Every server has an address of its own in 127.0.0.0/8 and answers there over
// UDP and TCP from the zones of its operator only, so any DNS tool sees what it
// would see on the Internet. Nothing ever leaves the loopback interface: the
// resolver's network ([inspect.Network]) refuses all other addresses.
//
// An operator's zones are the files in DIR/zones/OPERATOR. A change
// ([Lab.Register], [Lab.Record]) reads the file, edits the zone, has the new
// file synced to disk, and only then publishes it; so hand-made edits are never
// lost, and what was acknowledged survives.
//
// Zones are signed but for a few. Behind all operators are one pipeline, which has
// a view for each of them, one signer.Keeper and one delegation.Desk (type signing):
// a provider signs a new zone, signals its keys below the names of its name servers
// and sends NOTIFY(CDS); the registry looks at all servers of the child, and
// follows by an edit of its own file. Databases and keys are in DIR/signing; the
// files stay the truth. RFCs: 4035, 7344, 8078, 9615, 9859.
//
// Each query and its answer becomes a [console.Event]. Watching costs a server
// nothing but the copy: events go to a bounded ring, and who reads too slowly
// misses some.
//
// Concurrency: a Lab may be used by many goroutines. Lab.change serialises
// changes of files; operator.mu guards an operator's list of zones, and parents.mu
// what parents are asked for: neither is held during I/O.
package lab
