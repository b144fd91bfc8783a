package catalog

import (
	"context"

	"onoma/zone"
)

// Placement says how a member zone is to be served.
type Placement struct {
	Zone     zone.ID
	Template string  // of the configuration
	Catalog  zone.ID // that owns it
	Fresh    bool    // data and state that are there from earlier are forgotten first
}

// Host is the server that member zones are served by. Its methods may be called
// again with what they have been told before, as after a crash, and must take
// that as done. They are called by one goroutine at a time.
type Host interface {
	// AddMany serves zones, or serves those that are there already by another
	// template. Data stays, unless Fresh is set. Its error says that some are not
	// served: the Manager tries again later.
	AddMany(ctx context.Context, add []Placement) error
	// RemoveMany ends the service of zones. With forget their data, history and
	// state go too; without it they stay on the disk, for AddMany or for a later
	// RemoveMany with forget.
	RemoveMany(ctx context.Context, zones []zone.ID, forget bool) error
}

// Keeper keeps the Manager's own state: for each catalog up to [Parts] pieces.
type Keeper interface {
	// LoadCatalogs returns what SaveCatalog was given last, by number of the part, of
	// all catalogs that there ever were.
	LoadCatalogs(ctx context.Context) (map[zone.ID]map[uint8][]byte, error)
	// SaveCatalog writes parts of one catalog, all or none. An empty part is
	// forgotten. An error that is zone.ErrUnknown says that the catalog is no zone of
	// this server any more.
	SaveCatalog(ctx context.Context, catalog zone.ID, parts map[uint8][]byte) error
}

// Parts is into how many pieces the state of a catalog is divided, so that one
// member's change writes little.
const Parts = 256
