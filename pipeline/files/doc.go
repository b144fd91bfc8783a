// Package files is the door of zone files: it reads them at the start, at a reload,
// or as soon as they change, and hands what they say to the pipeline as changes.
//
// Each zone file belongs to one zone, and [Mode] says to whom the zone belongs. In
// modes [Reload] and [Watch] it is the file's: other doors are closed ([Mode.Allows]).
// In mode [Initial] the file is the first content only; when it changes later, that
// is a conflict, which is reported and never merged, until an operator says that the
// file is to be taken. Such a file may be written back.
//
// A file that is wrong changes nothing: the last good version stays, and [State] has
// all that is wrong with the file. Files that have not changed are not read, across
// restarts too: of each zone a stamp is kept that says which files became which version.
//
// Concurrency: a [Door] may be used by any goroutine. Its table is under mu; a zone's
// own lock is held while its file is read or written, and is taken first. No
// goroutine belongs to a zone.
//
// RFCs: 1035 §5 (master files).
package files
