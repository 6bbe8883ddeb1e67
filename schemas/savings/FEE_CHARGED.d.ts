// Code generated from the event types by go generate; DO NOT EDIT.

/** FeeCharged: a fee was charged for a withdrawal. */
export interface FeeCharged {
  /** AccountID names the account that owes the fee. */
  accountId: string;
  /** WithdrawalID is the id of the withdrawal's event. */
  withdrawalId: string;
  /** EntryID names the fee in the fee ledger. */
  entryId: string;
  /** Amount is in units of Currency. */
  amount: number;
  /** Currency is an ISO 4217 code. */
  currency: string;
}

/** savings/FEE_CHARGED on the bus: what EventBridge calls its detail. */
export interface FeeChargedDetail {
  metadata: Metadata;
  data: FeeCharged;
}

/** The part of the event as EventBridge delivers it that tells what it is. */
export interface FeeChargedEvent {
  source: "savings";
  "detail-type": "FEE_CHARGED";
  detail: FeeChargedDetail;
}

/**
 * Metadata is what Penstock knows of an event besides its data. Empty fields other than ID,
 * CorrelationID and OccurredAt are left out on the wire.
 */
export interface Metadata {
  /** ID names this event for ever: a redelivery has the same. A UUIDv7. */
  id: string;
  /**
   * CorrelationID is shared by everything that one cause at the edge set off. It is the event's
   * own id where the context carries none.
   */
  correlationId: string;
  /** CausationID is the id of the event that was being handled when this one was made. */
  causationId?: string;
  /**
   * Depth is how many events caused one another before this one: 0 for an event that no other
   * caused. The handler runtime refuses what goes on for too long.
   * @asType integer
   */
  depth?: number;
  /** UserID and OrganisationID say on whose behalf it happened. */
  userId?: string;
  organisationId?: string;
  /**
   * OccurredAt is when the event was stamped, in UTC. There is no order of delivery: compare this.
   * @format date-time
   */
  occurredAt: string;
  /** Traceparent carries a W3C trace on ("Trace Context"). */
  traceparent?: string;
  /**
   * Code is the number of an event type that has one, see Coded.
   * @asType integer
   */
  code?: number;
}
