package names

// The credentials of an administrator in an environment on this machine, for
// people and their tools. They are the same everywhere and no secret: they open
// a port on loopback.
const (
	LocalAccessKeyID     = "AKIAPENSTOCKLOCAL000"
	LocalSecretAccessKey = "penstock-local-secret"
)
