// Package inspect lets a person see how names resolve: it asks questions and
// prints messages as dig does ([Reply.WriteText]), it follows a name from the root to its
// answer and tells the journey, hop by hop ([Trace]), and it finds what is wrong
// with a zone, its delegation and the chain of trust that leads to it
// ([CheckZone]). Journeys and chains are drawn for the terminal, as JSON and as
// pictures.
//
// What travels is a real resolver of its own, with an empty cache, so the
// journey shows what a resolver would do and what it would keep. A check asks each
// server of a zone and of its parent by itself, and has a validator follow the
// chain by way of each; rules then judge what was said without asking more, so a
// rule is a function of a survey. Nothing here is on a server's path of answering;
// values belong to one goroutine. What is asked of and looked at in strangers'
// answers is bounded.
//
// RFCs: 2181 and 2182 (name servers), 4034 and 4035, 5155, 6781, 6840, 6891, 7344
// and 8078 (CDS), 7477 (CSYNC), 7766, 8624, 8901, 8906, 9276, 9471 (glue), 9859,
// 9904 and 9905 (algorithms).
package inspect
