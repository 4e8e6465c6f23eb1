import account from "../features/account/words.en.json";
import bank from "../features/bank/words.en.json";
import company from "../features/company/words.en.json";
import desk from "../features/desk/words.en.json";
import failures from "../features/failures/words.en.json";
import frame from "../features/frame/words.en.json";
import home from "../features/home/words.en.json";
import invoices from "../features/invoices/words.en.json";
import methods from "../features/methods/words.en.json";
import paying from "../features/paying/words.en.json";
import payments from "../features/payments/words.en.json";
import receipts from "../features/receipts/words.en.json";
import signin from "../features/signin/words.en.json";

export default {
  account,
  bank,
  company,
  desk,
  failures,
  frame,
  home,
  invoices,
  methods,
  paying,
  payments,
  receipts,
  signin,
};
