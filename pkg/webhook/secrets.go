package webhook

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

const (
	// secretsPage is how many endpoints are read at once: tens of kilobytes.
	secretsPage = 200
	// maxUndecryptable bounds the endpoints that a report names.
	maxUndecryptable = 100
)

// SecretsReport says which encryption keys the stored signing secrets need.
type SecretsReport struct {
	// Total counts the secrets of all businesses: of each endpoint the current one
	// and the former ones.
	Total int
	// ByKey counts them by the key that encrypts them, named as by Keyring.KeyIDs.
	ByKey map[string]int
	// Stale counts those that the keyring opens, but not with its first key.
	Stale int
	// UndecryptableCount counts those that the keyring does not open and that sign
	// deliveries; Undecryptable names the first hundred of their endpoints.
	UndecryptableCount int
	Undecryptable      []models.WebhookID
	// Abandoned counts those that the keyring does not open and nothing needs: of
	// deleted endpoints, and former ones whose grace period is over.
	Abandoned int
}

// CheckSecrets tries to open every stored signing secret, in memory that does not
// grow with their number.
func CheckSecrets(ctx context.Context, db *database.DB, keyring *Keyring) (SecretsReport, error) {
	report := SecretsReport{ByKey: make(map[string]int)}
	err := eachSecretsPage(ctx, db, func(page []storedSecret) error {
		for i := range page {
			report.add(&page[i], keyring)
		}
		return nil
	})
	return report, err
}

func (r *SecretsReport) add(s *storedSecret, keyring *Keyring) {
	r.Total++
	r.ByKey[keyIDOf(s.ciphertext)]++
	_, err := keyring.Open(s.business, s.webhook, s.ciphertext)
	switch {
	case err != nil && !s.needed:
		r.Abandoned++
	case err != nil:
		r.UndecryptableCount++
		r.Undecryptable = nameUndecryptable(r.Undecryptable, s.webhook)
	case !keyring.Current(s.ciphertext):
		r.Stale++
	}
}

// nameUndecryptable adds an endpoint to those that a report names, once: the
// secrets of one come together.
func nameUndecryptable(named []models.WebhookID, id models.WebhookID) []models.WebhookID {
	n := len(named)
	if n == maxUndecryptable || n > 0 && named[n-1] == id {
		return named
	}
	return append(named, id)
}

// secretPlace is where a secret is stored.
type secretPlace int

const (
	currentSecret secretPlace = iota
	// formerColumn is the newest former secret once more, for dispatchers of the
	// release before 0004.
	formerColumn
	formerSecret
)

// storedSecret is one encrypted secret.
type storedSecret struct {
	business   models.BusinessID
	webhook    models.WebhookID
	place      secretPlace
	ciphertext []byte
	// needed says that it signs deliveries.
	needed bool
}

const storedSQL = `SELECT w.business_id, w.id, w.deleted_at IS NULL, w.secret_ciphertext,
    w.previous_secret_ciphertext, coalesce(w.previous_secret_expires_at > now(), false),
    ARRAY(SELECT p.ciphertext FROM webhook_previous_secrets p
          WHERE p.business_id = w.business_id AND p.webhook_id = w.id ORDER BY p.ciphertext),
    ARRAY(SELECT p.expires_at > now() FROM webhook_previous_secrets p
          WHERE p.business_id = w.business_id AND p.webhook_id = w.id ORDER BY p.ciphertext)
FROM webhooks w WHERE (w.business_id, w.id) > ($1::uuid, $2::uuid)
ORDER BY w.business_id, w.id LIMIT $3`

// eachSecretsPage reads the secrets of all endpoints, page by page along the
// primary key; those of one endpoint are in one page. It crosses tenants.
func eachSecretsPage(ctx context.Context, db *database.DB, visit func(page []storedSecret) error) error {
	var business models.BusinessID
	var webhook models.WebhookID
	for {
		// As UUIDs, because the zero id would be null.
		rows, err := db.Pool.Query(ctx, storedSQL,
			pgtype.UUID{Bytes: business, Valid: true}, pgtype.UUID{Bytes: webhook, Valid: true}, secretsPage)
		if err != nil {
			return database.Coded(fmt.Errorf("reading secrets: %w", err))
		}
		page, endpoints, err := scanSecrets(rows)
		if err != nil {
			return database.Coded(fmt.Errorf("reading secrets: %w", err))
		}
		if len(page) == 0 {
			return nil
		}
		if err := visit(page); err != nil {
			return err
		}
		if endpoints < secretsPage {
			return nil
		}
		business, webhook = page[len(page)-1].business, page[len(page)-1].webhook
	}
}

func scanSecrets(rows pgx.Rows) (page []storedSecret, endpoints int, err error) {
	defer rows.Close()
	for rows.Next() {
		var s storedSecret
		var live, columnLive bool
		var column []byte
		var former [][]byte
		var formerLive []bool
		err := rows.Scan(&s.business, &s.webhook, &live, &s.ciphertext, &column, &columnLive, &former, &formerLive)
		if err != nil {
			return nil, 0, err
		}
		endpoints++
		of := func(place secretPlace, ciphertext []byte, needed bool) storedSecret {
			return storedSecret{business: s.business, webhook: s.webhook, place: place, ciphertext: ciphertext, needed: needed}
		}
		page = append(page, of(currentSecret, s.ciphertext, live))
		if column != nil {
			page = append(page, of(formerColumn, column, live && columnLive))
		}
		for i, ciphertext := range former {
			page = append(page, of(formerSecret, ciphertext, live && formerLive[i]))
		}
	}
	return page, endpoints, rows.Err()
}
