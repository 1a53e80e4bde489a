package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

var keyColumns = []column[models.APIKey]{
	{title: "ID", cell: func(k models.APIKey) string { return k.ID.String() }},
	{title: "NAME", cell: func(k models.APIKey) string { return k.Name }},
	{title: "PREFIX", cell: func(k models.APIKey) string { return k.Prefix }},
	{title: "STATE", cell: keyState},
	{title: "SCOPES", cell: func(k models.APIKey) string { return strings.Join(k.Scopes, ",") }, detail: true},
	{title: "EXPIRES", cell: func(k models.APIKey) string { return optionalTimeCell(k.ExpiresAt) }},
	{title: "REVOKED", cell: func(k models.APIKey) string { return optionalTimeCell(k.RevokedAt) }},
	{title: "LAST USED", cell: func(k models.APIKey) string { return optionalTimeCell(k.LastUsedAt) }},
	{title: "CREATED", cell: func(k models.APIKey) string { return timeCell(k.CreatedAt) }},
}

// keyState says whether a key works.
func keyState(k models.APIKey) string {
	switch {
	case k.RevokedAt != nil:
		return "revoked"
	case k.ExpiresAt != nil && !time.Now().Before(*k.ExpiresAt):
		return "expired"
	default:
		return "working"
	}
}

var keyView = view[models.APIKey]{
	shape:   func(k models.APIKey) any { return wire.NewAPIKey(k) },
	columns: keyColumns,
}

// issuedView shows the key itself, the one time that it can be shown.
var issuedView = view[apikey.Issued]{
	shape: func(i apikey.Issued) any {
		shape := wire.NewAPIKey(i.Key)
		shape.Key = i.Secret
		return shape
	},
	columns: issuedColumns(),
}

func issuedColumns() []column[apikey.Issued] {
	columns := make([]column[apikey.Issued], 0, len(keyColumns)+1)
	for _, c := range keyColumns {
		columns = append(columns, column[apikey.Issued]{
			title: c.title, detail: c.detail, cell: func(i apikey.Issued) string { return c.cell(i.Key) },
		})
	}
	return append(columns, column[apikey.Issued]{title: "KEY", cell: func(i apikey.Issued) string { return i.Secret }})
}

func newKey(s *session) *cobra.Command {
	return newGroup("key", "Issue, list, rotate and revoke API keys",
		"Issue, list, rotate and revoke the API keys of businesses. A key is shown once, when it is issued.",
		newKeyIssue(s), newKeyList(s), newKeyRotate(s), newKeyRevoke(s))
}

func newKeyIssue(s *session) *cobra.Command {
	var business string
	var fields apikey.New
	var scopes []string
	var life time.Duration
	var end string
	cmd := &cobra.Command{
		Use: "issue --business BUSINESS --name NAME", Short: "Issue a key",
		Long: `Issue a key and show it, this once: only its hash is stored.

Scopes: accounts:read, accounts:write, transactions:read, transactions:write,
webhooks:read, webhooks:write (all of these unless --scopes says otherwise) and
keys:manage, an administrator's: a key that has it issues keys with any scopes, and
rotates and revokes any, in its business.`,
		Example: `  txnctl key issue --business biz_01h455vb4pex5vsknk084sn02q --name ci
  txnctl key issue --business biz_01h455vb4pex5vsknk084sn02q --name reports \
    --scopes accounts:read,transactions:read --expires-in 720h -o json`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			id, err := parseID[models.BusinessPrefix]("business", business)
			if err != nil {
				return err
			}
			if fields.Scopes, err = apikey.ParseScopes(scopes); err != nil {
				return err
			}
			if fields.ExpiresAt, err = expiryFlags(cmd, life, end); err != nil {
				return err
			}
			return issue(cmd.Context(), s, func(tx *gorm.DB, actor audit.Actor) (apikey.Issued, error) {
				return apikey.Issue(cmd.Context(), tx, actor, id, fields)
			})
		},
	}
	cmd.Flags().StringVar(&business, "business", "", "`id` of the business (required)")
	cmd.Flags().StringVar(&fields.Name, "name", "", "`name` to recognise the key by (required)")
	cmd.Flags().StringSliceVar(&scopes, "scopes", nil, "`scopes`, separated by commas or repeated (default: all but keys:manage)")
	cmd.Flags().DurationVar(&life, "expires-in", 0, "how long the key works, such as 720h (default: for ever)")
	cmd.Flags().StringVar(&end, "expires-at", "", "`time` at which the key stops working (RFC 3339)")
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "scope" {
			name = "scopes"
		}
		return pflag.NormalizedName(name)
	})
	requireFlags(cmd, "business", "name")
	return cmd
}

// expiryFlags reads when a key is to end, nil for never.
func expiryFlags(cmd *cobra.Command, life time.Duration, end string) (*time.Time, error) {
	in, at := cmd.Flags().Changed("expires-in"), cmd.Flags().Changed("expires-at")
	switch {
	case in && at:
		return nil, usagef("pass one of --expires-in and --expires-at")
	case in:
		expires := database.Now().Add(life)
		return &expires, nil
	case at:
		expires, err := wire.ParseTime(end)
		if err != nil {
			return nil, usagef("--expires-at must be a time such as 2026-01-31T12:00:00Z")
		}
		return &expires, nil
	default:
		return nil, nil
	}
}

// issue is change for what shows a new key.
func issue(ctx context.Context, s *session, do func(tx *gorm.DB, actor audit.Actor) (apikey.Issued, error)) error {
	if err := change(ctx, s, issuedView, do); err != nil {
		return err
	}
	s.note("Keep the key now: it is not stored and cannot be shown again.")
	return nil
}

func newKeyList(s *session) *cobra.Command {
	var paging listFlags
	var business string
	var working bool
	cmd := &cobra.Command{
		Use: "list --business BUSINESS", Short: "List the keys of a business, the newest first",
		Long:    "List the keys of a business, the newest first, a page at a time: also those that work no more.",
		Example: "  txnctl key list --business biz_01h455vb4pex5vsknk084sn02q --working",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			id, err := parseID[models.BusinessPrefix]("business", business)
			if err != nil {
				return err
			}
			if err := paging.check(); err != nil {
				return err
			}
			filter := apikey.Filter{Working: working, Limit: paging.limit}
			if filter.After, err = cursorID[models.APIKeyPrefix](paging.cursor); err != nil {
				return err
			}
			return s.withDB(cmd.Context(), func(db *database.DB) error { return s.listKeys(cmd.Context(), db, id, filter) })
		},
	}
	paging.register(cmd)
	cmd.Flags().StringVar(&business, "business", "", "`id` of the business (required)")
	cmd.Flags().BoolVar(&working, "working", false, "leave out keys that are revoked or have expired")
	requireFlags(cmd, "business")
	return cmd
}

func (s *session) listKeys(ctx context.Context, db *database.DB, business models.BusinessID, filter apikey.Filter) error {
	if err := checkBusiness(ctx, db, business); err != nil {
		return err
	}
	items, more, err := apikey.List(ctx, db.Gorm, business, filter)
	if err != nil {
		return err
	}
	return printPage(s, keyView, page[models.APIKey]{
		items: items, more: more, cursor: func(k models.APIKey) string { return k.ID.String() },
	})
}

func newKeyRotate(s *session) *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use: "rotate KEY", Short: "Replace a key by a new one",
		Long: `Issue a key with the name, the scopes and the expiry of an old one, which goes on
working for the grace period (or until its own expiry, if that is sooner).`,
		Example: "  txnctl key rotate key_01h455vb4pex5vsknk084sn02q --grace 24h",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID[models.APIKeyPrefix]("key", args[0])
			if err != nil {
				return err
			}
			return issue(cmd.Context(), s, func(tx *gorm.DB, actor audit.Actor) (apikey.Issued, error) {
				business, err := apikey.OwnerOf(cmd.Context(), tx, id)
				if err != nil {
					return apikey.Issued{}, err
				}
				return apikey.Rotate(cmd.Context(), tx, actor, business, id, grace)
			})
		},
	}
	cmd.Flags().DurationVar(&grace, "grace", apikey.DefaultGrace, "how long the old key goes on working; 0 ends it at once")
	return cmd
}

func newKeyRevoke(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "revoke KEY", Short: "End a key for good",
		Long:    "End a key for good, on every replica within a second. Revoking a revoked key changes nothing.",
		Example: "  txnctl key revoke key_01h455vb4pex5vsknk084sn02q --yes",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID[models.APIKeyPrefix]("key", args[0])
			if err != nil {
				return err
			}
			if err := s.confirm("Key %s will be refused from now on, for good. Go ahead?", id); err != nil {
				return err
			}
			return change(cmd.Context(), s, keyView, func(tx *gorm.DB, actor audit.Actor) (models.APIKey, error) {
				business, err := apikey.OwnerOf(cmd.Context(), tx, id)
				if err != nil {
					return models.APIKey{}, err
				}
				return apikey.Revoke(cmd.Context(), tx, actor, business, id)
			})
		},
	}
}
