package errs_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
)

func TestCodeSurvivesWrapping(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection reset")
	err := fmt.Errorf("posting: %w", errs.Wrap(cause, errs.Unavailable, "try again"))
	require.Equal(t, errs.Unavailable, errs.CodeOf(err))
	require.ErrorIs(t, err, cause)
	require.True(t, errs.Is(err, errs.Unavailable))
	require.True(t, errs.CodeOf(err).Retryable())
}

func TestUncodedErrorIsInternal(t *testing.T) {
	t.Parallel()
	require.Equal(t, errs.Internal, errs.CodeOf(errors.New("boom")))
	require.Empty(t, errs.CodeOf(nil))
	require.False(t, errs.Is(nil, errs.Internal))
}

func TestValidationReportsEveryField(t *testing.T) {
	t.Parallel()
	var v errs.Validation
	require.NoError(t, v.Err())
	v.Check(true, "name", "never recorded")
	v.Add("amount", "must be positive")
	v.Check(false, "currency", "must be an ISO 4217 code")
	err := errs.As(v.Err())
	require.Equal(t, errs.ValidationFailed, err.Code)
	require.Equal(t, []errs.Field{
		{Field: "amount", Message: "must be positive"},
		{Field: "currency", Message: "must be an ISO 4217 code"},
	}, err.Fields)
	require.Contains(t, err.Detail, "and 1 more")
}
