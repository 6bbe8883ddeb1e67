package handler

// MaxDepth is the deepest event that a function takes: one that so many others
// caused, each the next (events.Metadata has its depth). A deeper one goes to the DLQ at
// once. Events whose functions set each other off in a loop are so stopped after
// a while, whatever the manifests say; what is meant to go round for longer is
// better set off by a schedule.
const MaxDepth = 32
