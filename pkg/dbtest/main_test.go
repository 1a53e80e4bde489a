package dbtest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/txn-service/txn/pkg/dbtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, dbtest.IgnoreServers())
}
