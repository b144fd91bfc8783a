// Package inspect lets a person see how names resolve: it asks questions and
// prints messages as dig does ([Print]), and it follows a name from the root to
// its answer and tells the journey, hop by hop ([Trace]), as a drawing for the
// terminal, as JSON and as a picture.
//
// What travels is a real resolver of its own, with an empty cache, so the
// journey shows what a resolver would do and what it would keep. Nothing here is
// on a server's path of answering; values belong to one goroutine.
package inspect
