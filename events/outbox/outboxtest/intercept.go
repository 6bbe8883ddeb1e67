package outboxtest

import (
	"net"
	"sync"
)

// Interceptor helps a [Store] to implement Intercept. The zero value is ready,
// and safe for concurrent use.
type Interceptor struct {
	mu   sync.Mutex
	hook func() error
}

// Intercept implements part of [Store].
func (i *Interceptor) Intercept(hook func() error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.hook = hook
}

// Step calls the hook.
func (i *Interceptor) Step() error {
	i.mu.Lock()
	hook := i.hook
	i.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook()
}

// Conn makes what is sent over a connection and what comes back steps, and
// breaks the connection at one that fails.
func (i *Interceptor) Conn(c net.Conn) net.Conn { return &conn{c, i} }

type conn struct {
	net.Conn
	*Interceptor
}

func (c *conn) Write(p []byte) (int, error) {
	if err := c.Step(); err != nil {
		c.Conn.Close()
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil {
		if err := c.Step(); err != nil {
			c.Conn.Close()
			return 0, err
		}
	}
	return n, err
}
