import bank from "../features/bank/words.en.json";
import company from "../features/company/words.en.json";
import desk from "../features/desk/words.en.json";
import failures from "../features/failures/words.en.json";
import receipts from "../features/receipts/words.en.json";

export default { bank, company, desk, failures, receipts };
