package main

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// auditShape is an entry of the audit log in JSON.
type auditShape struct {
	ID         int64              `json:"id"`
	BusinessID *models.BusinessID `json:"business_id"`
	Actor      string             `json:"actor"`
	Action     string             `json:"action"`
	Target     string             `json:"target"`
	Before     any                `json:"before"`
	After      any                `json:"after"`
	CreatedAt  wire.Time          `json:"created_at"`
}

var auditView = view[models.AuditEntry]{
	shape: func(e models.AuditEntry) any {
		return auditShape{
			ID: e.ID, BusinessID: e.BusinessID, Actor: e.Actor, Action: e.Action, Target: e.Target,
			Before: decoded(e.Before), After: decoded(e.After), CreatedAt: wire.Time(e.CreatedAt),
		}
	},
	columns: []column[models.AuditEntry]{
		{title: "ID", cell: func(e models.AuditEntry) string { return strconv.FormatInt(e.ID, 10) }},
		{title: "WHEN", cell: func(e models.AuditEntry) string { return timeCell(e.CreatedAt) }},
		{title: "ACTOR", cell: func(e models.AuditEntry) string { return e.Actor }},
		{title: "ACTION", cell: func(e models.AuditEntry) string { return e.Action }},
		{title: "TARGET", cell: func(e models.AuditEntry) string { return e.Target }},
		{title: "BUSINESS", cell: func(e models.AuditEntry) string {
			if e.BusinessID == nil {
				return none
			}
			return e.BusinessID.String()
		}},
	},
}

// decoded lets the encoder order the members, so that output is stable.
func decoded(text json.RawMessage) any {
	var value any
	if len(text) == 0 || json.Unmarshal(text, &value) != nil {
		return nil
	}
	return value
}

func newAudit(s *session) *cobra.Command {
	return newGroup("audit", "Read the audit log",
		"Read the audit log: who changed what, from what to what, and when. Nobody can change it.",
		newAuditList(s))
}

func newAuditList(s *session) *cobra.Command {
	var paging listFlags
	var business, actor, action, since, until string
	var filter audit.Filter
	cmd := &cobra.Command{
		Use: "list", Short: "List administrative changes, the newest first",
		Long: "List administrative changes, the newest first, a page at a time. -o json shows what was before and after.",
		Example: `  txnctl audit list --business biz_01h455vb4pex5vsknk084sn02q
  txnctl audit list --actor operator:ada --since 2026-01-01T00:00:00Z -o json`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := paging.check(); err != nil {
				return err
			}
			filter.Limit, filter.Actor, filter.Action = paging.limit, audit.Actor(actor), audit.Action(action)
			if business != "" {
				if filter.Business, err = parseID[models.BusinessPrefix]("business", business); err != nil {
					return err
				}
			}
			if filter.Since, err = timeFlag("since", since); err != nil {
				return err
			}
			if filter.Until, err = timeFlag("until", until); err != nil {
				return err
			}
			if filter.After, err = cursorNumber(paging.cursor); err != nil {
				return err
			}
			return s.withDB(cmd.Context(), func(db *database.DB) error {
				items, more, err := audit.List(cmd.Context(), db.Gorm, filter)
				if err != nil {
					return err
				}
				return printPage(s, auditView, page[models.AuditEntry]{
					items: items, more: more, cursor: func(e models.AuditEntry) string { return strconv.FormatInt(e.ID, 10) },
				})
			})
		},
	}
	paging.register(cmd)
	cmd.Flags().StringVar(&business, "business", "", "only changes that concern the business with this `id`")
	cmd.Flags().StringVar(&actor, "actor", "", "only changes by this `actor`: operator:NAME or key:KEY")
	cmd.Flags().StringVar(&action, "action", "", "only changes of this `kind`, such as key.revoked")
	cmd.Flags().StringVar(&filter.Target, "target", "", "only changes of what has this `id`")
	cmd.Flags().StringVar(&since, "since", "", "only changes at or after this `time` (RFC 3339)")
	cmd.Flags().StringVar(&until, "until", "", "only changes before this `time` (RFC 3339)")
	return cmd
}

func timeFlag(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := wire.ParseTime(text)
	if err != nil {
		return time.Time{}, usagef("--%s must be a time such as 2026-01-31T12:00:00Z", name)
	}
	return at, nil
}

func cursorNumber(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 1 {
		return 0, usagef("--cursor must be the next_cursor of the same list")
	}
	return number, nil
}
