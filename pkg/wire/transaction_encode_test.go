package wire_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

func optional[T any](t *rapid.T, label string, g *rapid.Generator[T]) *T {
	return rapid.Ptr(g, true).Draw(t, label)
}

func ids[P models.Prefix]() *rapid.Generator[models.ID[P]] {
	return rapid.Custom(func(t *rapid.T) models.ID[P] {
		return models.ID[P](rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	})
}

func TestAppendedTransactionIsWhatItsShapeSays(t *testing.T) {
	t.Parallel()
	moment := rapid.Custom(func(t *rapid.T) wire.Time {
		return wire.Time(time.UnixMicro(rapid.Int64Range(-62135596800_000_000, 253402300799_999_999).Draw(t, "micros")))
	})
	number := rapid.Int64Range(-models.MaxAmount, models.MaxAmount)
	rapid.Check(t, func(t *rapid.T) {
		shape := wire.Transaction{
			ID:                    ids[models.TransactionPrefix]().Draw(t, "id"),
			Type:                  rapid.SampledFrom([]models.TransactionType{models.Credit, models.Debit, models.Transfer}).Draw(t, "type"),
			Amount:                number.Draw(t, "amount"),
			Currency:              rapid.StringMatching(`[A-Z]{3}`).Draw(t, "currency"),
			SourceAccountID:       optional(t, "source", ids[models.AccountPrefix]()),
			DestinationAccountID:  optional(t, "destination", ids[models.AccountPrefix]()),
			Description:           optional(t, "description", rapid.String()),
			Reference:             optional(t, "reference", rapid.String()),
			Metadata:              rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "metadata"),
			IdempotencyKey:        rapid.String().Draw(t, "key"),
			ReversesTransactionID: optional(t, "reverses", ids[models.TransactionPrefix]()),
			ReversedAmount:        number.Draw(t, "reversed"),
			HoldID:                optional(t, "hold", ids[models.HoldPrefix]()),
			EffectiveAt:           optional(t, "effective", moment),
			CreatedAt:             moment.Draw(t, "created"),
			Entries: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) wire.Entry {
				return wire.Entry{
					AccountID: ids[models.AccountPrefix]().Draw(t, "account"), Sequence: number.Draw(t, "sequence"),
					Amount: number.Draw(t, "amount"), BalanceAfter: number.Draw(t, "after"),
				}
			}), 0, 2).Draw(t, "entries"),
		}
		want, err := wire.Marshal(shape)
		require.NoError(t, err)
		got, err := wire.AppendTransaction(nil, &shape)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	})
}
