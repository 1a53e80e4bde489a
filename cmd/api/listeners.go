package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/txn-service/txn/pkg/config"
)

// addresses are where a running API listens.
type addresses struct {
	api string
	// admin is empty when it is turned off.
	admin string
}

// listeners are the open ports of the API.
type listeners struct {
	api net.Listener
	// admin is nil when it is turned off.
	admin net.Listener
}

// listen opens the ports; both or none.
func listen(ctx context.Context, settings config.API) (l listeners, err error) {
	var open net.ListenConfig
	if l.api, err = open.Listen(ctx, "tcp", settings.Listen); err != nil {
		return l, fmt.Errorf("api.listen: %w", err)
	}
	if settings.AdminListen == "" {
		return l, nil
	}
	if l.admin, err = open.Listen(ctx, "tcp", settings.AdminListen); err != nil {
		return l, errors.Join(fmt.Errorf("api.admin_listen: %w", err), l.api.Close())
	}
	return l, nil
}

// close closes what a server has not closed already.
func (l listeners) close() {
	_ = l.api.Close()
	if l.admin != nil {
		_ = l.admin.Close()
	}
}

func (l listeners) addresses() addresses {
	a := addresses{api: l.api.Addr().String()}
	if l.admin != nil {
		a.admin = l.admin.Addr().String()
	}
	return a
}
