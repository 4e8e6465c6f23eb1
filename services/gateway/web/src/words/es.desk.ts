import bank from "../features/bank/words.es.json";
import company from "../features/company/words.es.json";
import desk from "../features/desk/words.es.json";
import disputes from "../features/disputes/words.es.json";
import failures from "../features/failures/words.es.json";
import receipts from "../features/receipts/words.es.json";
import support from "../features/support/words.es.json";
import tickets from "../features/tickets/words.es.json";

export default { bank, company, desk, disputes, failures, receipts, support, tickets };
