SELECT protect_by_customer('api_keys');
