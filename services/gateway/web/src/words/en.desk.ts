import bank from "../features/bank/words.en.json";
import company from "../features/company/words.en.json";
import desk from "../features/desk/words.en.json";
import disputes from "../features/disputes/words.en.json";
import failures from "../features/failures/words.en.json";
import receipts from "../features/receipts/words.en.json";
import support from "../features/support/words.en.json";
import tickets from "../features/tickets/words.en.json";

export default { bank, company, desk, disputes, failures, receipts, support, tickets };
