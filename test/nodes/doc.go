// Package nodes holds whole servers, as processes of `onoma serve`, to what they
// promise when something fails.
//
//   - Two nodes share one PostgreSQL, and take changes of the same zones at once.
//     One of them is killed, again and again, and in the end the database: changes
//     go on at the other node, none that was acknowledged is lost, and no serial
//     number ever stands for two contents.
//   - The disk is full, cannot be written, or gives back something else than was
//     written: nothing that is wrong is served, and people are told.
//   - A change is served by four secondaries soon after it was acknowledged.
//   - A zone of a million delegations is back soon after a restart, and changing it
//     costs what the change costs.
//
// ONOMA_NODES says how many times a node is killed; `make nodes` has 100.
// ONOMA_LARGE=1 runs the test of the large zone with a million delegations.
package nodes
