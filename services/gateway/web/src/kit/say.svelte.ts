/** Amounts and days as the reader's language and the company's zone write them. */
import { spoken } from "../words/index.svelte";
import { sizeOf } from "./attaching";
import * as days from "./days";
import * as moneys from "./money";

let zone = $state("America/New_York");
let asOf = $state<string | null>(null);

/** The company's zone, as soon as it is known. */
export const useZone = (name: string): void => void (zone = name);
/** The business day, as soon as the API has given it. */
export const useToday = (day: string): void => void (asOf = day);

export const today = (): string => asOf ?? days.dayOf(Date.now(), zone);
export const money = (minor: number, currency: string): string => moneys.money(minor, currency, spoken());
export const figure = (minor: number, currency: string): string => moneys.figure(minor, currency, spoken());
export const currencyName = (currency: string): string => moneys.currencyName(currency, spoken());
export const parseMoney = (text: string, currency: string): number | null =>
  moneys.parseMoney(text, currency, spoken());
export const shortDay = (day: string): string => days.shortDay(day, spoken());
export const longDay = (day: string): string => days.longDay(day, today(), spoken());
export const instant = (at: string): string => days.instant(at, zone, spoken());
export const clock = (at: string): string => days.clock(at, zone, spoken());
export const dayOf = (at: string | number): string => days.dayOf(at, zone);
/** Days until the day; negative when it is over. */
export const daysUntil = (day: string): number => days.daysBetween(today(), day);
/** A file's size, as "96 KB". */
export const fileSize = (bytes: number): string => sizeOf(bytes, spoken());
/** A rate, as 3% for "0.03". */
export const percent = (rate: string): string => moneys.percent(rate, spoken());
