// Code generated from the event types by go generate; DO NOT EDIT.

/** AccountClosed: a deposit account was closed. Its id is never given again. */
export interface AccountClosed {
  /** AccountID names the account. */
  accountId: string;
  /**
   * ClosedAt is when it was closed.
   * @format date-time
   */
  closedAt: string;
  /** Reason says why. */
  reason: CloseReason;
  /** PaidOut is what was left, by where it went. */
  paidOut?: Payout[];
  /** Balances is what the account held at its end, by the kind of money: principal, interest, fees. */
  balances: Record<string, Amount> | null;
}

/**
 * Amount is an amount of money. It may be negative. The zero value is nothing of no currency,
 * which is not valid in an event.
 */
export interface Amount {
  /**
   * MinorUnits counts the currency's smallest unit: cents of EUR, whole JPY. A filter compares
   * numbers from -5.0e9 to +5.0e9 only ("Comparison operators for use in event patterns in Amazon
   * EventBridge").
   * @asType integer
   */
  minorUnits: number;
  /**
   * Currency is an ISO 4217 code.
   * @pattern ^[A-Z]{3}$
   */
  currency: string;
}

/** CloseReason is why an account was closed. */
export type CloseReason =
  /** ClosedByCustomer is at the holders' wish. */
  | "CUSTOMER"
  /** ClosedAtMaturity is at the end of a fixed deposit's term. */
  | "MATURITY"
  /** ClosedByBank is at the bank's wish. */
  | "BANK";

/** Counterparty is the other side of a transfer. */
export interface Counterparty {
  /** Name is the holder's, as the other bank gives it. */
  name: string;
  /**
   * IBAN is the account's, without blanks (ISO 13616).
   * @pattern ^[A-Z]{2}[0-9]{2}[A-Z0-9]+$
   */
  iban: string;
}

/** Payout is one part of a closed account's money. */
export interface Payout {
  /** To is who received it. */
  to: Counterparty;
  /** Amount is how much, always positive. */
  amount: Amount;
}

/** savings/ACCOUNT_CLOSED on the bus: what EventBridge calls its detail. */
export interface AccountClosedDetail {
  metadata: Metadata;
  data: AccountClosed;
}

/** The part of the event as EventBridge delivers it that tells what it is. */
export interface AccountClosedEvent {
  source: "savings";
  "detail-type": "ACCOUNT_CLOSED";
  detail: AccountClosedDetail;
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
